"""Shows, removes and saves the objects within a range."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from napari_emcad.plugin.objects.edit_layer import set_label
from napari_emcad.plugin.objects.rows import step_columns, without_labels
from napari_emcad.plugin.widgets.helpers import shorten

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    import numpy as np
    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_emcad.plugin.objects.controller import ObjectsController
    from napari_emcad.plugin.objects.panel import ObjectsPanel
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.runner.thread import Outcome


class FilterController(QObject):
    """Hides the objects that are not kept, while their table is shown.

    Parameters
    ----------
    context
        Shared state of the panel.
    panel
        Fields of the tab.
    objects
        Has the measured layer and its table.
    """

    def __init__(self, context: Context, panel: ObjectsPanel, objects: ObjectsController) -> None:
        super().__init__(panel)
        self._context, self._panel, self._objects = context, panel, objects
        self._layer: Labels | None = None
        self._colormap: Any = None
        panel.filter_changed.connect(self._preview)
        panel.remove_requested.connect(self.remove_others)
        panel.save_requested.connect(self.save)
        objects.changed.connect(self._follow)

    def _follow(self) -> None:
        """Remember the colors of the measured layer, and give another one its colors back."""
        measured, layer = self._objects.measured, self._layer
        if measured is layer:
            return
        if layer is not None and layer.colormap is not self._colormap:
            layer.colormap = self._colormap
        self._layer = measured
        self._colormap = None if measured is None else measured.colormap

    def _preview(self, kept: NDArray[np.bool_]) -> None:
        """Hide the objects that are not kept."""
        self._follow()
        layer, table = self._objects.measured, self._objects.table
        if layer is None or table is None:
            return
        hidden = set(table.columns["label"][~kept].tolist())
        hidden -= set(table.columns["label"][kept].tolist())
        numbers = table.columns["label"].tolist()
        layer.colormap = without_labels(self._colormap, numbers, hidden)
        self._objects.show()

    def remove_others(self) -> None:
        """Set the objects that are not kept to 0; napari's undo brings them back."""
        layer, table = self._objects.measured, self._objects.table
        if layer is None or table is None or step_columns(layer, table):
            return
        numbers = table.columns["label"][~self._panel.filter.kept]
        layer.colormap = self._colormap
        set_label(layer, numbers.tolist(), 0)
        self._objects.measure()

    def save(self, path: Path) -> None:
        """Write the rows that are kept as CSV."""
        table = self._objects.table
        if table is None or self._context.session.running is not None:
            return
        text, path = table.select(self._panel.filter.kept).to_csv(), path.absolute()

        def ended(outcome: Outcome) -> None:
            if not outcome.error:
                self._context.show_message(f"Saved as {path}.")

        self._context.runner.run(
            f"Saving {shorten(path.name)}", lambda _: _write(path, text), ended
        )

    def release(self) -> None:
        """Give the layer its colors back; the controller is not used again."""
        if self._layer is not None and self._layer.colormap is not self._colormap:
            self._layer.colormap = self._colormap
        self._layer = None


def _write(path: Path, text: str) -> Generator[Any, None, None]:
    from napari_emcad.io.atomic_write import write_bytes

    yield from ()
    write_bytes(path, text.encode("utf-8"))
