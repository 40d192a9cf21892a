"""Measures the objects of a layer, and shows their table."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import QObject, Signal

from napari_emcad.imaging.fingerprint import checksum
from napari_emcad.plugin.objects.accepted import AcceptedObjects
from napari_emcad.plugin.objects.canvas_rows import CanvasRows
from napari_emcad.plugin.objects.measured_layer import measure_job
from napari_emcad.plugin.objects.rows import mean_size, step_columns
from napari_emcad.plugin.widgets.helpers import shorten

if TYPE_CHECKING:
    from napari_emcad.pipelines.object_table import ObjectTable
    from napari_emcad.plugin.objects.panel import ObjectsPanel
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.runner.thread import Outcome

_COMPARED_BYTES = 2**22
"""Bytes of the labels that are compared, in about 2 ms, to notice a change."""

_CHANGED = "The layer has changed since it was measured."


class ObjectsController(QObject):
    """Runs what the Objects tab asks for.

    Parameters
    ----------
    context
        Shared state of the panel.
    panel
        Fields of the tab.

    Attributes
    ----------
    canvas
        Links rows and objects.

    Signals
    -------
    changed
        The table, the selected rows or the accepted objects have changed.
    """

    changed = Signal()

    def __init__(self, context: Context, panel: ObjectsPanel) -> None:
        super().__init__(panel)
        self._context, self._panel = context, panel
        self._viewer, self._session = context.viewer, context.session
        self._layer: Labels | None = None
        self._measured: Labels | None = None
        self._table: ObjectTable | None = None
        self._changed, self._checksum = False, 0
        self._accepted = AcceptedObjects()
        self.canvas = CanvasRows(context.viewer, panel)
        panel.layer_chosen.connect(self.choose)
        panel.measure_requested.connect(self.measure)
        panel.table.row_chosen.connect(self.canvas.go_to)
        panel.table.selection_changed.connect(self.changed)
        self._session.running_changed.connect(self.show)
        self._viewer.layers.selection.events.active.connect(self._follow_active)

    # -- layer

    @property
    def layer(self) -> Labels | None:
        """The chosen layer."""
        return self._layer

    @property
    def measured(self) -> Labels | None:
        """The layer that the table describes."""
        return self._measured

    @property
    def table(self) -> ObjectTable | None:
        """The table that is shown."""
        return self._table

    def layers_changed(self) -> None:
        """List the Labels layers again."""
        layers = self._labels_layers()
        if self._measured is not None and self._measured not in layers:
            self._forget()
        if self._layer not in layers:
            self._layer = layers[-1] if layers else None
        self._panel.list_layers(layers, self._layer)
        self.show()

    def choose(self, layer: Labels | None) -> None:
        """Use another layer; its objects are not measured yet."""
        if layer is not self._layer:
            self._layer = layer
            self._forget()
            self._panel.list_layers(self._labels_layers(), layer)
        self.show()

    def _labels_layers(self) -> list[Labels]:
        return [layer for layer in self._viewer.layers if isinstance(layer, Labels)]

    def _follow_active(self, _: Any = None) -> None:
        """Choose the layer that the user selects, unless the table of another one is shown."""
        active = self._viewer.layers.selection.active
        if isinstance(active, Labels) and self._table is None:
            self.choose(active)

    # -- measuring

    def measure(self, quiet: bool = False) -> None:
        """Measure the objects of the chosen layer.

        Parameters
        ----------
        quiet
            Whether the progress bar stays hidden, and the message above it.
        """
        layer, image = self._layer, self._context.image_input.layer
        if layer is None or self._why_not():
            self.show()
            return
        self._forget()
        self._context.runner.run(
            f"Measuring {shorten(layer.name)}",
            partial(measure_job, layer, image),
            partial(self._measuring_ended, layer),
            quiet=quiet,
        )

    def _measuring_ended(self, layer: Labels, outcome: Outcome) -> None:
        if outcome.error or layer not in self._viewer.layers:
            return
        self._measured, self._table = layer, self._accepted.with_column(layer, outcome.result)
        self._changed = False
        self.canvas.follow(layer, self._table)
        self._checksum = _checksum(layer)
        layer.events.set_data.connect(self._check_data)  # paint, undo, other data, another slice
        _set_features(layer, self._table)
        self._panel.show_table(self._table)
        self.show()
        self.changed.emit()

    def _check_data(self, _: Any = None) -> None:
        """Say so if the labels have changed; of large ones, some pixels are compared."""
        layer = self._measured
        changed = layer is None or _checksum(layer) != self._checksum
        if changed != self._changed:
            self._changed = changed
            self.show()

    def _forget(self) -> None:
        """Remove the table, and give the layer its colors back."""
        layer, self._measured, self._table = self._measured, None, None
        if layer is not None:
            self.canvas.follow(None, None)
            layer.events.set_data.disconnect(self._check_data)
        self._panel.show_table(None)
        self.show()
        self.changed.emit()

    # -- accepted objects

    @property
    def selected_rows(self) -> list[int]:
        """Numbers of the selected rows of the table."""
        return [] if self._table is None else self._panel.table.selected_rows

    @property
    def selected_labels(self) -> list[int]:
        """Labels of the selected rows."""
        table = self._table
        return [] if table is None else table.columns["label"][self.selected_rows].tolist()

    @property
    def accepted(self) -> frozenset[int]:
        """Labels of the measured layer that were accepted and are still there."""
        return self._accepted.of(self._measured, self._table)

    def toggle_accepted(self) -> None:
        """Accept the selected objects; if all are accepted already, take it back."""
        layer, table = self._measured, self._table
        if layer is not None and table is not None and self.selected_rows:
            self._accepted.toggle(layer, self.selected_labels)
            self._table = self._accepted.with_column(layer, table)
            _set_features(layer, self._table)
            self.canvas.follow(layer, self._table)
            self._panel.table.update_columns(self._table)

    # -- state of the tab

    def _why_not(self) -> str:
        running = self._session.running
        if running is not None:
            return f"{running.verb} …"
        return "" if self._layer is not None else "Segment an image, or open a labels layer."

    def show(self, _: object = None) -> None:
        """Show a summary of the table, and the reason why nothing can be measured."""
        self._panel.show_reason(self._why_not())
        table, kept = self._table, self._panel.filter.kept
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
        self._panel.filter.show_removable(removable)
        self._panel.show_summary(f"{summary}.{' ' + _CHANGED if self._changed else ''}")

    def release(self) -> None:
        """Disconnect from viewer and session; the controller is not used again."""
        self._forget()
        self._session.running_changed.disconnect(self.show)
        self._viewer.layers.selection.events.active.disconnect(self._follow_active)


def _checksum(layer: Labels) -> int:
    """Return a checksum of labels in memory; others do not change."""
    return checksum(layer.data, _COMPARED_BYTES) if isinstance(layer.data, np.ndarray) else 0


def _set_features(layer: Labels, table: ObjectTable) -> None:
    """Give a layer its table as features, which the status bar shows; not with several steps."""
    if not step_columns(layer, table) and len(table):
        columns = {name: column for name, column in table.columns.items() if name != "label"}
        layer.features = {"index": table.columns["label"], **columns}
