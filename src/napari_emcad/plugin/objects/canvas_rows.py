"""Links the rows of the table with the objects on the canvas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.plugin.layers.show_position import show_position
from napari_emcad.plugin.objects.rows import position, step_columns

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari.components import ViewerModel
    from napari.layers import Labels

    from napari_emcad.pipelines.object_table import ObjectTable
    from napari_emcad.plugin.objects.panel import ObjectsPanel

_STILL = 2
"""Pixels of the screen by which a click may move."""


class CanvasRows:
    """Goes to the object of a row, and selects the row of an object that is clicked.

    Parameters
    ----------
    viewer
        Viewer of the layer.
    panel
        Has the table.

    Attributes
    ----------
    active
        Whether a click on an object selects its row.
    """

    def __init__(self, viewer: ViewerModel, panel: ObjectsPanel) -> None:
        self._viewer, self._panel = viewer, panel
        self._layer: Labels | None = None
        self._table: ObjectTable | None = None
        self.active = True

    def follow(self, layer: Labels | None, table: ObjectTable | None) -> None:
        """Listen to clicks on the objects of a layer; None for none."""
        callbacks = self._viewer.mouse_drag_callbacks
        if self._layer is None and layer is not None:
            callbacks.append(self._clicked)
        elif self._layer is not None and layer is None:
            callbacks.remove(self._clicked)
        self._layer, self._table = layer, table

    def go_to(self, number: int) -> None:
        """Bring the object of a row to the middle of the canvas, and select its label."""
        layer, table = self._layer, self._table
        if layer is not None and table is not None:
            show_position(self._viewer, layer, position(layer, table, number))
            layer.selected_label = int(table.columns["label"][number])

    def _clicked(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        """Select the row of an object that is clicked, not dragged or painted."""
        pressed, active = tuple(event.pos), viewer.layers.selection.active
        yield
        while event.type == "mouse_move":
            yield
        layer, painted = self._layer, active is not None and active.mode != "pan_zoom"
        moved = np.abs(np.subtract(event.pos, pressed)).max() > _STILL
        if layer is None or painted or moved or not self.active:
            return
        value = layer.get_value(
            event.position,
            view_direction=event.view_direction,
            dims_displayed=event.dims_displayed,
            world=True,
        )
        steps = layer.world_to_data(event.position)
        if (row := self._row_of(layer, value, steps)) is not None:
            self._panel.table.select_row(row, add="Shift" in event.modifiers)
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
