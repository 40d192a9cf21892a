"""Moves sliders and camera to a region of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_emcad.plugin.layers.drawn import world_position

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from numpy.typing import NDArray

    from napari_emcad.interactive.suggest_ranking import SuggestedRegion
    from napari_emcad.plugin.stages.request import StageRequest

_SHARES = 0.1, 0.6
"""Smallest and largest share of the canvas that the diagonal of a region takes."""


def go_to_region(viewer: ViewerModel, request: StageRequest, region: SuggestedRegion) -> None:
    """Show the slice of a region, and bring the region to the center of the canvas.

    Parameters
    ----------
    viewer
        Viewer of the image.
    request
        Request whose image, axes and level the region belongs to.
    region
        Region in pixels of the image's finest level.
    """
    world = _world_position(viewer, request, region, region.center)
    image, dims = request.image, viewer.dims
    offset = dims.ndim - image.ndim
    for axis, letter in enumerate(request.axes[: image.ndim]):
        if axis + offset in dims.not_displayed and letter != "C":
            dims.set_point(axis + offset, world[axis])
    center = [world[axis - offset] for axis in dims.displayed]
    camera = viewer.scene.camera
    camera.center = (*camera.center[: 3 - len(center)], *center)
    camera.zoom *= _zoom_factor(viewer, request, region)


def _zoom_factor(viewer: ViewerModel, request: StageRequest, region: SuggestedRegion) -> float:
    """Return the factor on the zoom that makes the region neither too small nor too large."""
    ends = zip(region.rows, region.columns, strict=True)
    first, last = (_world_position(viewer, request, region, end) for end in ends)
    canvas = min(viewer.canvas.viewbox_size(viewer.layers))
    share = np.linalg.norm(last - first) * viewer.scene.camera.zoom / canvas
    return float(np.clip(share, *_SHARES) / share) if share > 0 else 1.0


def pixel_position(
    request: StageRequest, region: SuggestedRegion, pixel: tuple[float, float]
) -> list[float]:
    """Return the position of a pixel (row, column) of the region's slice in the image's data."""
    stacked, downsampling = iter(region.index), request.level.downsampling
    point = []
    for axis, letter in enumerate(request.axes[: request.image.ndim]):
        if letter in "YX":
            point.append(pixel["YX".index(letter)])
        elif letter == "C":
            point.append(0.0)
        else:
            point.append(next(stacked) * downsampling[axis] + (downsampling[axis] - 1) / 2)
    return point


def _world_position(
    viewer: ViewerModel,
    request: StageRequest,
    region: SuggestedRegion,
    pixel: tuple[float, float],
) -> NDArray[np.float64]:
    """Return the world coordinates of a pixel (row, column) of the region's slice."""
    return world_position(viewer, request.image, pixel_position(request, region, pixel))
