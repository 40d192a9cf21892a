"""From what the user chose to what a job needs, checked before anything starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from napari_emcad.imaging.slices import Scope, Slices
from napari_emcad.jobs import check_memory, slices_for
from napari_emcad.plugin.layers import levels, slice_index, visible_range
from napari_emcad.plugin.results import Target

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_emcad.imaging.slices import Where
    from napari_emcad.io.checkpoint import Checkpoint
    from napari_emcad.plugin.segment_panel import SegmentChoices


def segment_request(
    viewer: ViewerModel,
    layer: Image,
    choices: SegmentChoices,
    checkpoint: Checkpoint,
    kind: Literal["segmentation", "prediction"] = "segmentation",
) -> tuple[Slices, Target]:
    """Return the slices to segment, and where the result belongs.

    Raises
    ------
    ValueError, TypeError
        If the choices cannot be run; the message is for the user.
    """
    level = levels(layer)[choices.level]
    scope = scope_of(viewer, layer, choices)
    slices = slices_for(level.array, checkpoint, choices.axes, choices.channels, scope)
    check_memory(slices.spatial_shape, checkpoint, choices.settings)
    target = Target(
        source=layer,
        name=layer.name,
        axes=choices.axes,
        level=level,
        shape=slices.spatial_shape,
        checkpoint=checkpoint,
        settings=choices.settings,
        part=None if choices.scope == "layer" else _part(slices),
        anew=choices.anew,
        kind=kind,
    )
    return slices, target


def _part(slices: Slices) -> Where:
    """Return where the only slice of a request lies in its result, whole."""
    place = slices.where(slices.indices[0], (0, slices.height), (0, slices.width))
    return tuple(slice(None) if isinstance(each, slice) else each for each in place)


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
