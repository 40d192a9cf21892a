"""Layers with features whose status line works in the 3-D view before the mouse was over it."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from napari.layers import Labels


def accept_no_direction(layer: Labels) -> None:
    """Let a layer with features give values in the 3-D view while there is no view direction.

    Before the mouse was over the canvas, napari's status line asks for the features at the cursor
    with ``np.asarray(None)`` as the direction, and raises TypeError whenever such a layer is added
    or selected in 3-D (napari issues 7848 and 8285).
    """
    reference = weakref.ref(layer)
    get_value = type(layer).get_value

    def guarded(position: Any, *, view_direction: Any = None, **options: Any) -> Any:
        direction = None if np.ndim(view_direction) == 0 else view_direction
        return get_value(reference(), position, view_direction=direction, **options)

    layer.get_value = guarded
