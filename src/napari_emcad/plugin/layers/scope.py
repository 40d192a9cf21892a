"""The part of an image to segment: the visible slice, its visible part, or everything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_emcad.imaging.slices import Scope
from napari_emcad.plugin.layers.geometry import is_in_view, levels, slice_index, visible_range

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_emcad.plugin.layers.image_input import SegmentOptions


@dataclass(frozen=True, slots=True)
class Window:
    """A box in an image.

    Attributes
    ----------
    corner, shape
        First pixel and size along the spatial axes, in pixels of the finest level.
    """

    corner: tuple[int, ...]
    shape: tuple[int, ...]

    def crop(self, scope: Scope, axes: str) -> Scope:
        """Return the part of a single-slice scope that lies in this window.

        Raises
        ------
        ValueError
            If they do not overlap.
        """
        spatial = axes.replace("C", "")
        starts = dict(zip(spatial, self.corner, strict=True))
        sizes = dict(zip(spatial, self.shape, strict=True))
        position = zip(scope.index or (), (a for a in spatial if a not in "YX"), strict=True)
        within = all(0 <= index - starts[axis] < sizes[axis] for index, axis in position)
        ranges = []
        for axis, chosen in (("Y", scope.rows), ("X", scope.columns)):
            first, last = starts[axis], starts[axis] + sizes[axis]
            low, high = (first, last) if chosen is None else chosen
            ranges.append((max(first, low), min(last, high)))
        if not within or any(first >= last for first, last in ranges):
            raise ValueError("The visible part lies outside of the annotation.")
        return Scope(scope.index, *ranges)


def scope_of(viewer: ViewerModel, layer: Image, options: SegmentOptions) -> Scope:
    """Return the part of an image that the options select.

    Raises
    ------
    ValueError
        If it is not visible; the message is for the user.
    """
    if options.scope == "layer":
        return Scope()
    stacked = [i for i, axis in enumerate(options.axes[: layer.ndim]) if axis not in "CYX"]
    index = slice_index(viewer, layer, stacked)
    if index is None:
        raise ValueError("The sliders are outside of the image; move them into it.")
    if options.scope == "slice":
        return Scope(index)
    y, x = options.axes.index("Y"), options.axes.index("X")
    _check_view(viewer, layer, (y, x))
    level = levels(layer)[options.level]
    return Scope(index, visible_range(layer, level, y), visible_range(layer, level, x))


def _check_view(viewer: ViewerModel, layer: Image, plane: tuple[int, int]) -> None:
    if viewer.dims.ndisplay != 2:
        raise ValueError("“What I see” needs the 2-D view; press the cube button to leave 3-D.")
    offset = viewer.dims.ndim - layer.ndim
    displayed = {axis - offset for axis in viewer.dims.displayed}
    if displayed != set(plane):
        raise ValueError("“What I see” needs rows and columns on screen; roll the axes back.")
    if not is_in_view(viewer, layer, plane):
        raise ValueError("Nothing of the image is on screen; move it there.")
