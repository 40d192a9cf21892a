"""What napari draws of a layer: which slice, which part of it, and where.

napari slices a layer by the positions of the sliders in the viewer's units and leaves out the part
of a rotation or shear that turns drawn axes into sliders. So do these functions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pint
from napari.utils.transforms import CompositeAffine

from napari_emcad.plugin.layers.geometry import levels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Image, Layer
    from numpy.typing import ArrayLike, NDArray

    from napari_emcad.plugin.layers.geometry import Level


@dataclass(frozen=True, slots=True)
class DrawnSlice:
    """The slice that napari draws of a layer.

    Attributes
    ----------
    index
        Positions along the stacked axes, in pixels of a level.
    ranges
        First and last drawn position along these axes, in pixels of the finest level; different
        only if napari projects a thick slice.
    """

    index: tuple[int, ...]
    ranges: tuple[tuple[int, int], ...]

    @property
    def is_projection(self) -> bool:
        """Whether napari draws several slices projected into one."""
        return any(first != last for first, last in self.ranges)


def drawn_axes(viewer: ViewerModel, layer: Image) -> tuple[int, ...]:
    """Return the axes of a layer that are drawn, in their order on screen."""
    offset = viewer.dims.ndim - layer.ndim
    return tuple(axis - offset for axis in viewer.dims.displayed if axis >= offset)


def drawn_position(viewer: ViewerModel, layer: Image, world: ArrayLike) -> NDArray[np.float64]:
    """Return the position in a layer that napari draws at a point.

    Parameters
    ----------
    viewer
        Viewer of the layer.
    layer
        Image layer.
    world
        Point in the viewer's units, one number per axis of the viewer.

    Returns
    -------
    NDArray
        Position in pixels of the finest level, one number per axis of the layer.
    """
    point = np.asarray(world, float)[-layer.ndim :] * unit_factors(viewer, layer.units)
    to_world = data_to_world(layer)
    drawn = drawn_axes(viewer, layer)
    sliders = [axis for axis in range(layer.ndim) if axis not in drawn]
    position = np.empty(layer.ndim)
    if sliders:
        to_data = np.linalg.inv(to_world)
        rows = [*sliders, -1]
        position[sliders] = (to_data[np.ix_(rows, rows)] @ [*point[sliders], 1.0])[:-1]
    rows = [*drawn, -1]
    on_screen = np.linalg.inv(to_world[np.ix_(rows, rows)])
    position[list(drawn)] = (on_screen @ [*point[list(drawn)], 1.0])[:-1]
    return position


def world_position(viewer: ViewerModel, layer: Image, position: ArrayLike) -> NDArray[np.float64]:
    """Return the point at which napari draws a position of a layer; see `drawn_position`."""
    to_world, drawn = data_to_world(layer), drawn_axes(viewer, layer)
    sliders = [axis for axis in range(layer.ndim) if axis not in drawn]
    data, world = np.asarray(position, float), np.empty(layer.ndim)
    if sliders:
        rows = [*sliders, -1]
        from_data = np.linalg.inv(np.linalg.inv(to_world)[np.ix_(rows, rows)])
        world[sliders] = (from_data @ [*data[sliders], 1.0])[:-1]
    rows = [*drawn, -1]
    world[list(drawn)] = (to_world[np.ix_(rows, rows)] @ [*data[list(drawn)], 1.0])[:-1]
    return world / unit_factors(viewer, layer.units)


def drawn_slice(
    viewer: ViewerModel, layer: Image, level: Level, stacked: Sequence[int]
) -> DrawnSlice | None:
    """Return the slice that napari draws of a layer, or that its sliders choose in 3-D.

    Parameters
    ----------
    viewer
        Viewer of the layer.
    layer
        Image layer.
    level
        Level of the layer.
    stacked
        Axes of the layer that stack slices.

    Returns
    -------
    DrawnSlice or None
        None if the sliders are outside of the layer.
    """
    dims = viewer.dims
    position = drawn_position(viewer, layer, dims.point)
    shape = levels(layer)[0].array.shape
    nearest = np.round(position).astype(int)
    if any(not 0 <= nearest[axis] < shape[axis] for axis in stacked):
        return None
    index = [
        min(round(position[axis] / level.downsampling[axis]), level.array.shape[axis] - 1)
        for axis in stacked
    ]
    ranges = [(int(nearest[axis]),) * 2 for axis in stacked]
    is_thick = any(dims.margin_left) or any(dims.margin_right)
    if is_thick and str(layer.projection_mode) != "none" and dims.ndisplay == 2:
        left = drawn_position(viewer, layer, np.subtract(dims.point, dims.margin_left))
        right = drawn_position(viewer, layer, np.add(dims.point, dims.margin_right))
        ranges = [
            (
                max(int(np.ceil(min(left[axis], right[axis]) - 0.5)), 0),
                min(int(np.floor(max(left[axis], right[axis]) + 0.5)), shape[axis] - 1),
            )
            for axis in stacked
        ]
    return DrawnSlice(tuple(index), tuple(ranges))


def is_in_view(viewer: ViewerModel, layer: Image, plane: tuple[int, int]) -> bool:
    """Return whether some rows and columns of a layer are visible in the 2-D view."""
    point = np.asarray(viewer.dims.point, float)
    displayed = list(viewer.dims.displayed)
    point[displayed] = viewer.scene.camera.center[-len(displayed) :]
    center = drawn_position(viewer, layer, point)
    shape = levels(layer)[0].array.shape
    for axis in plane:
        first, last = layer.corner_pixels[:, axis]  # napari clips them to the layer
        if first == last and shape[axis] > 1 and not -1 < center[axis] < shape[axis]:
            return False
    return True


def visible_range(layer: Image, level: Level, axis: int) -> tuple[int, int]:
    """Return the visible part of an axis as a half-open range of pixels of a level."""
    displayed = levels(layer)[layer.data_level if layer.multiscale else 0].downsampling[axis]
    first, last = layer.corner_pixels[:, axis] * displayed / level.downsampling[axis]
    size = level.array.shape[axis]
    start = min(max(int(np.floor(first)), 0), size - 1)
    stop = int(np.ceil(last + displayed / level.downsampling[axis]))
    return start, min(max(stop, start + 1), size)


def data_to_world(layer: Layer) -> NDArray[np.float64]:
    """Return the matrix from pixels to the layer's own units, ``(ndim + 1, ndim + 1)``."""
    own = CompositeAffine(layer.scale, layer.translate, rotate=layer.rotate, shear=layer.shear)
    matrix: NDArray[np.float64] = np.asarray(layer.affine.affine_matrix) @ own.affine_matrix
    return matrix


def unit_factors(viewer: ViewerModel, units: Sequence[Any]) -> NDArray[np.float64]:
    """Return the viewer's units in those of a layer, one per axis of the layer.

    They are 1 if layers have units that cannot be converted, which napari takes for the same.
    """
    world = viewer.dims.units
    if world is None or len(world) < len(units):
        return np.ones(len(units))
    registry = pint.get_application_registry()  # type: ignore[no-untyped-call]
    pairs = zip(world[-len(units) :], units, strict=True)
    factors = [registry.get_base_units(a)[0] / registry.get_base_units(b)[0] for a, b in pairs]
    return np.array(factors, float)
