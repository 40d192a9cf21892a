"""Changes of layers that do not disturb the user: selection, active layer and mode stay."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.components import ViewerModel
    from napari.layers import Layer

_MODES: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
"""Modes of layers that were hidden or locked."""

_INSERTING: list[bool] = []
"""Not empty while `insert_layer` is at work."""


def insert_layer(viewer: ViewerModel, layer: Layer, row: int | None = None) -> None:
    """Insert a layer into the layer list, above all others by default; the selection stays.

    Without an active layer the new one becomes active, as in napari.
    """
    layers = viewer.layers
    selected, active = set(layers.selection), layers.selection.active
    mode = None if active is None else str(active.mode)
    with _inserting():
        layers.insert(len(layers) if row is None else row, layer)
        if active is not None:
            layers.selection = selected
            layers.selection.active = active
            if str(active.mode) != mode:
                active.mode = mode


def is_inserting() -> bool:
    """Return whether the active layer changes only because `insert_layer` is at work."""
    return bool(_INSERTING)


@contextmanager
def _inserting() -> Iterator[None]:
    _INSERTING.append(True)
    try:
        yield
    finally:
        _INSERTING.pop()


def show_layer(layer: Layer, visible: bool) -> None:
    """Show or hide a layer; one that is shown again is in the mode that it was hidden in."""
    if layer.visible != visible:
        _change(layer, "visible", visible)


def set_editable(layer: Layer, editable: bool) -> None:
    """Lock or unlock a layer; an unlocked one is in the mode that it was locked in."""
    if layer.editable != editable:
        _change(layer, "editable", editable)


def _change(layer: Layer, name: str, value: bool) -> None:
    """Set an attribute; napari leaves the mode whenever visibility or editability is set."""
    before = str(layer.mode)
    setattr(layer, name, value)
    if not value:
        _MODES[layer] = before
    elif (mode := _MODES.pop(layer, None)) is not None and str(layer.mode) == "pan_zoom":
        layer.mode = mode
