"""Moves sliders and camera to a position of a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_emcad.plugin.layers.drawn import world_position

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Layer


def show_position(
    viewer: ViewerModel, layer: Layer, position: Sequence[float], center: bool = True
) -> None:
    """Show the slice of a position, and bring the position to the center of the canvas.

    Parameters
    ----------
    viewer
        Viewer of the layer.
    layer
        Layer in whose data the position is given.
    position
        Index along every axis of the layer.
    center
        Whether to move the camera; False moves the sliders alone.
    """
    world, dims = world_position(viewer, layer, position), viewer.dims
    first = dims.ndim - layer.ndim
    for axis in dims.not_displayed:
        if axis >= first:
            dims.set_point(axis, world[axis - first])
    if center:
        camera = viewer.scene.camera
        shown = [world[axis - first] for axis in dims.displayed if axis >= first]
        camera.center = (*camera.center[: 3 - len(shown)], *shown)
