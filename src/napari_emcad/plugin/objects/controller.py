"""Measures objects, and links the rows of the table with the objects on the canvas."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import QObject

from napari_emcad.imaging.fingerprint import checksum
from napari_emcad.plugin.layers.show_position import show_position
from napari_emcad.plugin.objects.measured_layer import measure_job
from napari_emcad.plugin.objects.rows import mean_size, position, step_columns, without_labels
from napari_emcad.plugin.widgets.helpers import shorten

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.pipelines.object_table import ObjectTable
    from napari_emcad.plugin.objects.panel import ObjectsPanel
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.runner.thread import Outcome

_COMPARED_BYTES = 2**22
"""Bytes of the labels that are compared, in about 2 ms, to notice a change."""

_STILL = 2
"""Pixels of the screen by which a click may move."""

_CHANGED = "The layer has changed since it was measured."


class ObjectsController(QObject):
    """Runs what the Objects tab asks for.

    Parameters
    ----------
    context
        Shared state of the panel.
    panel
        Fields of the tab.
    """

    def __init__(self, context: Context, panel: ObjectsPanel) -> None:
        super().__init__(panel)
        self._context, self._panel = context, panel
        self._viewer, self._session = context.viewer, context.session
        self._layer: Labels | None = None
        self._measured: Labels | None = None
        self._table: ObjectTable | None = None
        self._colormap: Any = None
        self._changed, self._checksum = False, 0
        panel.layer_chosen.connect(self.choose)
        panel.measure_requested.connect(self.measure)
        panel.row_chosen.connect(self.go_to)
        panel.filter_changed.connect(self._preview)
        panel.remove_requested.connect(self.remove_others)
        panel.save_requested.connect(self.save)
        self._session.running_changed.connect(self._show)
        self._viewer.layers.selection.events.active.connect(self._follow_active)

    # -- layer

    @property
    def layer(self) -> Labels | None:
        """The chosen layer."""
        return self._layer

    def layers_changed(self) -> None:
        """List the Labels layers again."""
        layers = self._labels_layers()
        if self._measured is not None and self._measured not in layers:
            self._forget()
        if self._layer not in layers:
            self._layer = layers[-1] if layers else None
        self._panel.list_layers(layers, self._layer)
        self._show()

    def choose(self, layer: Labels | None) -> None:
        """Use another layer; its objects are not measured yet."""
        if layer is not self._layer:
            self._layer = layer
            self._forget()
            self._panel.list_layers(self._labels_layers(), layer)
        self._show()

    def _labels_layers(self) -> list[Labels]:
        return [layer for layer in self._viewer.layers if isinstance(layer, Labels)]

    def _follow_active(self, _: Any = None) -> None:
        """Choose the layer that the user selects, unless the table of another one is shown."""
        active = self._viewer.layers.selection.active
        if isinstance(active, Labels) and self._table is None:
            self.choose(active)

    # -- measuring

    def measure(self) -> None:
        """Measure the objects of the chosen layer."""
        layer, image = self._layer, self._context.image_input.layer
        if layer is None or self._why_not():
            self._show()
            return
        self._forget()
        self._context.runner.run(
            f"Measuring {shorten(layer.name)}",
            partial(measure_job, layer, image),
            partial(self._measuring_ended, layer),
        )

    def _measuring_ended(self, layer: Labels, outcome: Outcome) -> None:
        if outcome.error or layer not in self._viewer.layers:
            return
        self._measured, self._table = layer, outcome.result
        self._colormap, self._changed = layer.colormap, False
        self._viewer.mouse_drag_callbacks.append(self._clicked)
        self._checksum = _checksum(layer)
        layer.events.set_data.connect(self._check_data)  # paint, undo, other data, another slice
        _set_features(layer, outcome.result)
        self._panel.show_table(outcome.result)
        self._show()

    def _check_data(self, _: Any = None) -> None:
        """Say so if the labels have changed; of large ones, some pixels are compared."""
        layer = self._measured
        changed = layer is None or _checksum(layer) != self._checksum
        if changed != self._changed:
            self._changed = changed
            self._show()

    def _forget(self) -> None:
        """Remove the table, and give the layer its colors back."""
        layer, self._measured, self._table = self._measured, None, None
        if layer is not None:
            self._viewer.mouse_drag_callbacks.remove(self._clicked)
            layer.events.set_data.disconnect(self._check_data)
            if layer.colormap is not self._colormap:
                layer.colormap = self._colormap
        self._panel.show_table(None)
        self._show()

    # -- rows and objects

    def go_to(self, number: int) -> None:
        """Bring an object to the middle of the canvas, and select its label."""
        layer, table = self._measured, self._table
        if layer is None or table is None:
            return
        show_position(self._viewer, layer, position(layer, table, number))
        layer.selected_label = int(table.columns["label"][number])

    def _clicked(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        """Select the row of an object that is clicked, not dragged or painted."""
        pressed, active = tuple(event.pos), viewer.layers.selection.active
        yield
        while event.type == "mouse_move":
            yield
        layer, painted = self._measured, active is not None and active.mode != "pan_zoom"
        moved = np.abs(np.subtract(event.pos, pressed)).max() > _STILL
        if layer is None or painted or moved:
            return
        value = layer.get_value(
            event.position,
            view_direction=event.view_direction,
            dims_displayed=event.dims_displayed,
            world=True,
        )
        steps = layer.world_to_data(event.position)
        if (row := self._row_of(layer, value, steps)) is not None:
            self._panel.select_row(row)
            layer.selected_label = int(value)

    def _row_of(self, layer: Labels, value: Any, steps: Any) -> int | None:
        """Return the row of a label at a position in the data; None if there is none."""
        if not value or self._table is None:
            return None
        rows = np.asarray(self._table.columns["label"]) == value
        for axis, name in step_columns(layer, self._table):
            rows &= self._table.columns[name] == round(float(steps[axis]))
        found = np.flatnonzero(rows)
        return int(found[0]) if found.size else None

    # -- filter

    def _preview(self, kept: NDArray[np.bool_]) -> None:
        """Hide the objects that are not kept."""
        layer, table = self._measured, self._table
        if layer is None or table is None:
            return
        hidden = set(table.columns["label"][~kept].tolist())
        hidden -= set(table.columns["label"][kept].tolist())
        numbers = table.columns["label"].tolist()
        layer.colormap = without_labels(self._colormap, numbers, hidden)
        self._show()

    def remove_others(self) -> None:
        """Set the objects that are not kept to 0; napari's undo brings them back."""
        layer, table = self._measured, self._table
        if layer is None or table is None:
            return
        kept = self._panel.kept
        numbers = table.columns["label"][~kept]
        where = np.nonzero(np.isin(layer.data, numbers))
        layer.colormap = self._colormap
        if where[0].size:
            layer.data_setitem(where, 0)
        self.measure()

    # -- file

    def save(self, path: Path) -> None:
        """Write the rows that are kept as CSV."""
        if self._table is None or self._session.running is not None:
            return
        text, path = self._table.select(self._panel.kept).to_csv(), path.absolute()

        def ended(outcome: Outcome) -> None:
            if not outcome.error:
                self._context.show_message(f"Saved as {path}.")

        self._context.runner.run(
            f"Saving {shorten(path.name)}", lambda _: _write(path, text), ended
        )

    # -- state of the tab

    def _why_not(self) -> str:
        running = self._session.running
        if running is not None:
            return f"{running.verb} …"
        return "" if self._layer is not None else "Segment an image, or open a labels layer."

    def _show(self, _: object = None) -> None:
        self._panel.show_reason(self._why_not())
        table, kept = self._table, self._panel.kept
        if table is None:
            self._panel.show_summary("")
            return
        count = len(table)
        summary = f"{count:,} object{'s' if count != 1 else ''}"
        if not kept.all():
            summary += f", {int(kept.sum()):,} kept"
        if size := mean_size(table, kept):
            summary += f"; {size}"
        steps = self._measured is not None and bool(step_columns(self._measured, table))
        editable = self._measured is not None and isinstance(self._measured.data, np.ndarray)
        removable = editable and not kept.all() and not steps and not self._changed
        self._panel.show_removable(removable)
        self._panel.show_summary(f"{summary}.{' ' + _CHANGED if self._changed else ''}")

    def release(self) -> None:
        """Disconnect from viewer and session; the controller is not used again."""
        self._forget()
        self._session.running_changed.disconnect(self._show)
        self._viewer.layers.selection.events.active.disconnect(self._follow_active)


def _checksum(layer: Labels) -> int:
    """Return a checksum of labels in memory; others do not change."""
    return checksum(layer.data, _COMPARED_BYTES) if isinstance(layer.data, np.ndarray) else 0


def _set_features(layer: Labels, table: ObjectTable) -> None:
    """Give a layer its table as features, which the status bar shows; not with several steps."""
    if not step_columns(layer, table) and len(table):
        columns = {name: column for name, column in table.columns.items() if name != "label"}
        layer.features = {"index": table.columns["label"], **columns}


def _write(path: Path, text: str) -> Generator[Any, None, None]:
    from napari_emcad.io.atomic_write import write_bytes

    yield from ()
    write_bytes(path, text.encode("utf-8"))
