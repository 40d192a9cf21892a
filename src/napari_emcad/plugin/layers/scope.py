"""The part of an image to segment: the visible slice, its visible part, or everything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_emcad.imaging.slices import Scope
from napari_emcad.plugin.layers.drawn import drawn_axes, drawn_slice, is_in_view, visible_range
from napari_emcad.plugin.layers.geometry import levels

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
    y, x = options.axes.index("Y"), options.axes.index("X")
    _check_plane(viewer, layer, (y, x))
    level = levels(layer)[options.level]
    drawn = drawn_slice(viewer, layer, level, stacked_axes(layer, options.axes))
    if drawn is None:
        raise ValueError("The sliders are outside of the image; move them into it.")
    if options.scope == "slice":
        return Scope(drawn.index)
    if viewer.dims.ndisplay != 2:
        raise ValueError("“What I see” needs the 2-D view; press the cube button to leave 3-D.")
    if not is_in_view(viewer, layer, (y, x)):
        raise ValueError("Nothing of the image is on screen; move it there.")
    return Scope(drawn.index, visible_range(layer, level, y), visible_range(layer, level, x))


def stacked_axes(layer: Image, axes: str) -> tuple[int, ...]:
    """Return the axes of a layer that stack slices, from a letter per axis of its data."""
    return tuple(i for i, axis in enumerate(axes[: layer.ndim]) if axis not in "CYX")


def thick_slice_message(viewer: ViewerModel, layer: Image, options: SegmentOptions) -> str:
    """Return a message if napari draws several slices as one, of which one is segmented, or ""."""
    if options.scope == "layer":
        return ""
    level = levels(layer)[options.level]
    stacked = stacked_axes(layer, options.axes)
    drawn = drawn_slice(viewer, layer, level, stacked)
    if drawn is None or not drawn.is_projection:
        return ""
    parts = [
        f"{index} of the slices {first} to {last} along {options.axes[axis]}"
        for axis, index, (first, last) in zip(stacked, drawn.index, drawn.ranges, strict=True)
        if first != last
    ]
    return (
        f"napari draws the {layer.projection_mode} of a thick slice; segmented was slice "
        f"{' and '.join(parts)}."
    )


def _check_plane(viewer: ViewerModel, layer: Image, plane: tuple[int, int]) -> None:
    """Refuse a 2-D view that draws another plane than the one that is segmented."""
    drawn = drawn_axes(viewer, layer)
    if viewer.dims.ndisplay == 2 and set(drawn) != set(plane):
        names = " and ".join(f"“{layer.axis_labels[axis]}”" for axis in sorted(drawn))
        raise ValueError(
            f"The axes {names} of the image are on screen, but not its rows and columns: roll the "
            f"axes back, or choose “Whole layer”."
        )
