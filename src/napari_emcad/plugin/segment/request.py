"""Turns the user's choices into the input of a segmentation job, and checks them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from napari_emcad.pipelines.segment import check_memory
from napari_emcad.plugin.layers.geometry import levels
from napari_emcad.plugin.layers.layer_slices import layer_slices
from napari_emcad.plugin.layers.scope import Window, scope_of
from napari_emcad.plugin.layers.target import Target, relative_to

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_emcad.imaging.slices import Slices, Where
    from napari_emcad.pipelines.segmentation_model import SegmentationModel
    from napari_emcad.plugin.layers.image_input import SegmentOptions


def segment_request(
    viewer: ViewerModel,
    layer: Image,
    options: SegmentOptions,
    checkpoint: SegmentationModel,
    kind: Literal["segmentation", "prediction"] = "segmentation",
    window: Window | None = None,
) -> tuple[Slices, Target]:
    """Return the slices to segment, and the target of the result.

    Parameters
    ----------
    viewer
        Viewer whose sliders and camera select the visible part.
    layer
        Image to segment.
    options
        Axes, channels, level, scope and settings.
    checkpoint
        Model to segment with.
    kind
        Kind of the result.
    window
        Part of the image that the result covers, if the scope is (part of) one slice at the
        finest level; None for all of it.

    Raises
    ------
    ValueError, TypeError
        If the segmentation is not possible; the message is for the user.
    """
    level = levels(layer)[options.level]
    scope = scope_of(viewer, layer, options)
    if window is not None:
        scope = window.crop(scope, options.axes)
    slices = layer_slices(layer, checkpoint, options.axes, options.channels, scope, options.level)
    corner = () if window is None else window.corner
    shape = slices.spatial_shape if window is None else window.shape
    check_memory(shape, checkpoint, options.settings)
    target = Target(
        source=layer,
        name=layer.name,
        axes=options.axes,
        level=level,
        shape=shape,
        checkpoint=checkpoint,
        settings=options.settings,
        part=None if options.scope == "layer" else _part(slices, corner),
        new_layer=options.new_layer,
        kind=kind,
        corner=corner,
    )
    return slices, target


def layer_target(layer: Image, options: SegmentOptions, checkpoint: SegmentationModel) -> Target:
    """Return the target of a whole layer whose labels need not fit into memory.

    Parameters
    ----------
    layer, options, checkpoint
        As for `segment_request`; the scope does not matter.

    Raises
    ------
    ValueError, TypeError
        If the segmentation is not possible; the message is for the user.
    """
    slices = layer_slices(layer, checkpoint, options.axes, options.channels, None, options.level)
    return Target(
        source=layer,
        name=layer.name,
        axes=options.axes,
        level=levels(layer)[options.level],
        shape=slices.spatial_shape,
        checkpoint=checkpoint,
        settings=options.settings,
        part=None,
    )


def _part(slices: Slices, corner: tuple[int, ...]) -> Where:
    """Return the position of the only slice, with all rows and columns, in the result."""
    where = slices.where(slices.indices[0], (0, slices.height), (0, slices.width))
    plane = tuple(slice(None) if isinstance(index, slice) else index for index in where)
    return relative_to(plane, corner)
