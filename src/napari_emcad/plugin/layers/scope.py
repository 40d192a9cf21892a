"""The part of an image that is segmented: a slice, the view, everything."""

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
    """A part of an image along its spatial axes, in pixels of its finest level."""

    corner: tuple[int, ...]
    shape: tuple[int, ...]

    def cut(self, scope: Scope, axes: str) -> Scope:
        """Return what of a scope of one slice lies in here.

        Raises
        ------
        ValueError
            If nothing does.
        """
        spatial = axes.replace("C", "")
        starts, sizes = (
            dict(zip(spatial, each, strict=True)) for each in (self.corner, self.shape)
        )
        place = zip(scope.index or (), (a for a in spatial if a not in "YX"), strict=True)
        within = all(0 <= at - starts[a] < sizes[a] for at, a in place)
        ranges = []
        for letter, chosen in (("Y", scope.rows), ("X", scope.columns)):
            first, last = starts[letter], starts[letter] + sizes[letter]
            low, high = (first, last) if chosen is None else chosen
            ranges.append((max(first, low), min(last, high)))
        if not within or any(first >= last for first, last in ranges):
            raise ValueError("What is on screen lies beside the annotation.")
        return Scope(scope.index, *ranges)


def scope_of(viewer: ViewerModel, layer: Image, options: SegmentOptions) -> Scope:
    """Return the part of an image that is meant.

    Raises
    ------
    ValueError
        If it is not on screen.
    """
    if options.scope == "layer":
        return Scope()
    stacked = [i for i, letter in enumerate(options.axes[: layer.ndim]) if letter not in "CYX"]
    index = slice_index(viewer, layer, stacked)
    if index is None:
        raise ValueError("The sliders stand beside the image; move them onto it.")
    if options.scope == "slice":
        return Scope(index)
    y, x = options.axes.index("Y"), options.axes.index("X")
    _check_view(viewer, layer, (y, x))
    level = levels(layer)[options.level]
    return Scope(index, visible_range(layer, level, y), visible_range(layer, level, x))


def _check_view(viewer: ViewerModel, layer: Image, plane: tuple[int, int]) -> None:
    if viewer.dims.ndisplay != 2:
        raise ValueError("What I see needs the 2-D view; press the cube button to leave 3-D.")
    offset = viewer.dims.ndim - layer.ndim
    shown = {axis - offset for axis in viewer.dims.displayed}
    if shown != set(plane):
        raise ValueError("What I see needs rows and columns on screen; roll the axes back.")
    if not is_in_view(viewer, layer, plane):
        raise ValueError("Nothing of the image is on screen; move it there.")
