"""Corrects single objects: delete, merge, split, accept."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_emcad.imaging.split_object import split_along_line, split_at_points
from napari_emcad.plugin.objects.edit_layer import (
    set_label,
    split_label,
    why_not_editable,
)
from napari_emcad.plugin.objects.rows import step_columns

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from napari.layers import Labels

    from napari_emcad.plugin.objects.controller import ObjectsController
    from napari_emcad.plugin.objects.correct_box import CorrectBox
    from napari_emcad.plugin.runner.context import Context

_STILL = 4
"""Pixels of the screen by which the mouse moves at most during a click."""

_HELP = "Click two parts of one object, or drag a line across it; press Split again to end."


class CorrectController(QObject):
    """Runs the buttons of a `CorrectBox`.

    Parameters
    ----------
    context
        Shared state of the panel.
    box
        The buttons.
    objects
        Has the measured layer, its table and the selected rows.

    Signals
    -------
    annotate_requested
        Layer and labels of accepted objects that the model is to learn.
    """

    annotate_requested = Signal(object, object)

    def __init__(self, context: Context, box: CorrectBox, objects: ObjectsController) -> None:
        super().__init__(box)
        self._context, self._box, self._objects = context, box, objects
        self._viewer = context.viewer
        self._split_layer: Labels | None = None
        self._first: tuple[int, tuple[Any, ...], tuple[float, float]] | None = None
        self._pan = True
        box.delete_requested.connect(self.delete)
        box.merge_requested.connect(self.merge)
        box.accept_requested.connect(self.accept)
        box.teach_requested.connect(self.teach)
        box.split_toggled.connect(self._toggle_split)
        objects.changed.connect(self.show)
        self.show()

    # -- buttons

    def delete(self) -> None:
        """Remove the selected objects."""
        if (layer := self._editable()) is not None:
            self._relabel(layer, 0)

    def merge(self) -> None:
        """Give the selected objects the label of the first of them."""
        layer, numbers = self._editable(), self._objects.selected_labels
        if layer is None or len(numbers) < 2:
            return
        self._relabel(layer, min(numbers))

    def accept(self) -> None:
        """Mark the selected objects as right, or take the mark back from all of them."""
        self._objects.toggle_accepted()
        self.show()

    def teach(self) -> None:
        """Request that the accepted objects become annotation."""
        layer, accepted = self._objects.measured, self._objects.accepted
        if layer is not None and accepted:
            self.annotate_requested.emit(layer, sorted(accepted))

    def _editable(self) -> Labels | None:
        """Return the measured layer, or show why it cannot be changed."""
        layer = self._objects.measured
        if layer is None or self._context.session.running is not None:
            return None
        if problem := why_not_editable(layer):
            self._context.show_message(problem, error=True)
            return None
        return layer

    def _relabel(self, layer: Labels, value: int) -> None:
        """Give the selected objects another label, and measure again."""
        table = self._objects.table
        if table is None:
            return
        columns = step_columns(layer, table)
        numbers: dict[tuple[int, ...], list[int]] = {}
        for row in self._objects.selected_rows:
            at = tuple(int(table.columns[name][row]) for _, name in columns)
            numbers.setdefault(at, []).append(int(table.columns["label"][row]))
        axes = [axis for axis, _ in columns]
        for at, labels in numbers.items():
            set_label(layer, labels, value, dict(zip(axes, at, strict=True)))
        self._objects.measure(quiet=True)

    # -- splitting on the canvas

    def _toggle_split(self, on: bool) -> None:
        """Split with the mouse; the camera stays where it is meanwhile."""
        camera, callbacks = self._viewer.scene.camera, self._viewer.mouse_drag_callbacks
        self._first, self._split_layer = None, self._editable() if on else None
        on = self._split_layer is not None
        self._objects.canvas.active = not on
        if on:
            self._pan, camera.mouse_pan = camera.mouse_pan, False
            callbacks.append(self._split_drag)
            self._context.show_message(_HELP, holds=lambda: self._box.splitting)
        elif self._split_drag in callbacks:
            callbacks.remove(self._split_drag)
            camera.mouse_pan = self._pan
            self._context.runner.check_message()
        self._box.show_splitting(on)

    def _split_drag(self, _: Any, event: Any) -> Generator[None, None, None]:
        """Split along a line that is dragged, or after the second of two clicks."""
        pressed, start = tuple(event.pos), np.array(event.position)
        yield
        while event.type == "mouse_move":
            yield
        layer = self._editable()
        if layer is None or len(event.dims_displayed) != 2:
            return
        end = np.array(event.position)
        moved = np.abs(np.subtract(event.pos, pressed)).max() > _STILL
        self._split_by_line(layer, event, start, end) if moved else self._click(layer, event, end)

    def _click(self, layer: Labels, event: Any, world: Any) -> None:
        plane, point = _plane_and_point(layer, event, world)
        number = _label_at(layer, plane, point)
        if not number:
            self._context.show_message("Click inside of an object.", error=True)
            return
        first, self._first = self._first, None
        if first is None or first[:2] != (number, plane):
            self._first = number, plane, point
            self._context.show_message("Click the other part of the same object.")
            return
        self._split(layer, number, plane, partial(split_at_points, points=(first[2], point)))

    def _split_by_line(self, layer: Labels, event: Any, start: Any, end: Any) -> None:
        plane, first = _plane_and_point(layer, event, start)
        _, last = _plane_and_point(layer, event, end)
        steps = np.linspace(first, last, 64)
        numbers = [_label_at(layer, plane, (y, x)) for y, x in steps.tolist()]
        present = [number for number in numbers if number]
        if not present:
            self._context.show_message("The line crosses no object.", error=True)
            return
        number = max(set(present), key=present.count)
        self._split(layer, number, plane, partial(split_along_line, start=first, end=last))

    def _split(self, layer: Labels, number: int, plane: Any, split: Any) -> None:
        try:
            count = split_label(layer, number, plane, split)
        except ValueError as error:
            self._context.show_message(str(error), error=True)
            return
        self._context.show_message(f"Split into {count}; Ctrl+Z undoes it.")
        self._objects.measure(quiet=True)

    # -- state of the buttons

    def show(self) -> None:
        """Enable the buttons that have something to do."""
        layer, rows = self._objects.measured, self._objects.selected_rows
        editable = layer is not None and not why_not_editable(layer)
        idle = self._context.session.running is None
        self._box.show_state(len(rows) if idle else 0, editable and idle, self._objects.accepted)
        if self._box.splitting and self._objects.layer is not self._split_layer:
            self._toggle_split(False)

    def release(self) -> None:
        """Stop to listen to the mouse; the controller is not used again."""
        self._toggle_split(False)


def _plane_and_point(
    layer: Labels, event: Any, world: Sequence[float]
) -> tuple[tuple[Any, ...], tuple[float, float]]:
    """Return the index of the visible slice in the data, and (row, column) in it."""
    position = layer.world_to_data(world[-layer.ndim :])
    first = len(world) - layer.ndim
    shown = sorted(axis - first for axis in event.dims_displayed)
    plane = tuple(
        slice(None) if axis in shown else round(float(at)) for axis, at in enumerate(position)
    )
    y, x = (float(position[axis]) for axis in shown)
    return plane, (y, x)


def _label_at(layer: Labels, plane: tuple[Any, ...], point: tuple[float, float]) -> int:
    """Return the label at a point of a slice; 0 outside of the layer."""
    y, x = round(point[0]), round(point[1])
    sizes = zip(plane, layer.data.shape, strict=True)
    if any(not isinstance(at, slice) and not 0 <= at < size for at, size in sizes):
        return 0
    labels = layer.data[plane]
    return int(labels[y, x]) if 0 <= y < labels.shape[0] and 0 <= x < labels.shape[1] else 0
