"""From what the user chose to what a job needs, checked before anything starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from napari_emcad.imaging.slices import Scope, Slices
from napari_emcad.jobs import check_memory, slices_for
from napari_emcad.plugin.layers import is_in_view, levels, slice_index, visible_range
from napari_emcad.plugin.results import Target, moved

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_emcad.imaging.slices import Where
    from napari_emcad.io.checkpoint import Checkpoint
    from napari_emcad.plugin.segment_panel import SegmentChoices


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


def segment_request(
    viewer: ViewerModel,
    layer: Image,
    choices: SegmentChoices,
    checkpoint: Checkpoint,
    kind: Literal["segmentation", "prediction"] = "segmentation",
    window: Window | None = None,
) -> tuple[Slices, Target]:
    """Return the slices to segment, and where the result belongs.

    Parameters
    ----------
    viewer, layer, choices, checkpoint
        What is on screen, the image, and how it is segmented.
    kind
        Of the result.
    window
        The only part that the result covers, of an image in its finest resolution and one slice;
        None for all of it.

    Raises
    ------
    ValueError, TypeError
        If the choices cannot be run; the message is for the user.
    """
    level = levels(layer)[choices.level]
    scope = scope_of(viewer, layer, choices)
    if window is not None:
        scope = window.cut(scope, choices.axes)
    slices = slices_for(level.array, checkpoint, choices.axes, choices.channels, scope)
    corner = () if window is None else window.corner
    shape = slices.spatial_shape if window is None else window.shape
    check_memory(shape, checkpoint, choices.settings)
    target = Target(
        source=layer,
        name=layer.name,
        axes=choices.axes,
        level=level,
        shape=shape,
        checkpoint=checkpoint,
        settings=choices.settings,
        part=None if choices.scope == "layer" else _part(slices, corner),
        anew=choices.anew,
        kind=kind,
        corner=corner,
    )
    return slices, target


def _part(slices: Slices, corner: tuple[int, ...]) -> Where:
    """Return where the only slice of a request lies in its result, whole."""
    place = slices.where(slices.indices[0], (0, slices.height), (0, slices.width))
    whole = tuple(slice(None) if isinstance(each, slice) else each for each in place)
    return moved(whole, corner)


def scope_of(viewer: ViewerModel, layer: Image, choices: SegmentChoices) -> Scope:
    """Return the part of an image that is meant.

    Raises
    ------
    ValueError
        If it is not on screen.
    """
    if choices.scope == "layer":
        return Scope()
    stacked = [i for i, letter in enumerate(choices.axes[: layer.ndim]) if letter not in "CYX"]
    index = slice_index(viewer, layer, stacked)
    if index is None:
        raise ValueError("The sliders stand beside the image; move them onto it.")
    if choices.scope == "slice":
        return Scope(index)
    y, x = choices.axes.index("Y"), choices.axes.index("X")
    _check_view(viewer, layer, (y, x))
    level = levels(layer)[choices.level]
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
