"""Annotation layers: made for an image, colored by class, marked with their label rule."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_emcad.annotation.detect_rule import DetectedRule, change_meaning, detect_rule
from napari_emcad.annotation.label_rules import UNLABELED, LabelRule, value_counts
from napari_emcad.plugin.layers.channel_axis import broadcast_channels, layer_axes, with_channels
from napari_emcad.plugin.layers.drawn import visible_range
from napari_emcad.plugin.layers.geometry import layer_geometry, levels
from napari_emcad.plugin.layers.image_metadata import image_metadata
from napari_emcad.plugin.layers.status import accept_no_direction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image, Layer

    from napari_emcad.annotation.label_rules import Meaning
    from napari_emcad.io.checkpoints.classes import ClassLabel

_KEY = "napari-emcad"
"""Key of this plugin in the metadata of layers."""

BACKGROUND_COLOR = "#7f8fa6"
_UNKNOWN_COLOR = "#ffffff"
_OPACITY = 0.7
_BRUSH_SIZE = 6

LARGEST = 2**28
"""Largest number of pixels of an annotation; of a larger image it covers the visible part."""

_SAMPLED = 2**24
"""Number of pixels of a foreign layer that are read to detect its rule."""


# -- making


def new_annotation(image: Image, axes: str) -> Labels:
    """Return an empty annotation layer on an image.

    Parameters
    ----------
    image
        Image layer.
    axes
        A letter per axis of its data; C for channels.

    Returns
    -------
    Labels
        uint8, of the image's finest level. Channels share its memory: a channel axis behind another
        axis is kept (see `layers.channel_axis`), others are left out. Of an image of more than 2²⁸
        pixels the layer covers the visible rows and columns, and of a stack that is still too
        large then, the slices around the visible one.

    Raises
    ------
    ValueError
        If even one visible slice is too large.
    """
    kept = tuple(axis for axis, letter in enumerate(axes) if letter != "C")
    spatial = "".join(axes[axis] for axis in kept)
    finest = levels(image)[0]
    shape = tuple(finest.array.shape[axis] for axis in kept)
    corner, size = _covered_part(image, kept, spatial, shape)
    annotation = Labels(
        broadcast_channels(np.zeros(size, np.uint8), axes[: image.ndim], finest.array.shape),
        name=f"{image.name} annotation",
        opacity=_OPACITY,
        metadata=image_metadata(image, size)
        | {_KEY: {"kind": "annotation", "corner": list(corner)}},
        **placement(image, axes, corner),
    )
    annotation.brush_size = _BRUSH_SIZE
    return annotation


def placement(image: Image, axes: str, corner: Sequence[int]) -> dict[str, Any]:
    """Return scale, translate and the like of an annotation that starts at a corner of an image."""
    own_axes = axes[: image.ndim]
    first = with_channels(corner, own_axes) if len(corner) else ()
    return layer_geometry(image, layer_axes(own_axes), levels(image)[0], first)


def _covered_part(
    image: Image, kept: tuple[int, ...], spatial: str, shape: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return corner and size of the part that an annotation covers."""
    if np.prod(shape, dtype=float) <= LARGEST:
        return (0,) * len(shape), shape
    finest = levels(image)[0]
    ranges = [
        visible_range(image, finest, axis) if letter in "YX" else (0, size)
        for axis, letter, size in zip(kept, spatial, shape, strict=True)
    ]
    for n in [n for n, letter in enumerate(spatial) if letter not in "YX"]:
        total = np.prod([last - first for first, last in ranges], dtype=float)
        if total > LARGEST:
            count = int(LARGEST * shape[n] / total)
            ranges[n] = _slices_around_visible(image, kept[n], shape[n], count)
    size = tuple(last - first for first, last in ranges)
    if np.prod(size, dtype=float) > LARGEST:
        raise ValueError("The visible part is too large to paint on; zoom in first.")
    return tuple(first for first, _ in ranges), size


def _slices_around_visible(image: Image, axis: int, size: int, count: int) -> tuple[int, int]:
    """Return a range of `count` slices around the visible one."""
    count = min(max(count, 1), size)
    visible = int(image.corner_pixels[0, axis])
    first = min(max(visible - count // 2, 0), size - count)
    return first, first + count


# -- metadata


def mark(layer: Labels, corner: Sequence[int], rule: LabelRule, ours: bool) -> None:
    """Store in a layer that it is an annotation, and its label rule.

    Parameters
    ----------
    layer
        Annotation layer.
    corner
        First pixel in the image along spatial axes.
    rule
        Label rule.
    ours
        Whether the layer was made by this plugin.
    """
    layer.metadata[_KEY] = {"kind": "annotation", "corner": list(corner)} if ours else {}
    store_rule(layer, rule)


def store_rule(layer: Labels, rule: LabelRule) -> None:
    """Store the label rule in a layer's metadata."""
    layer.metadata[_KEY] = {**_metadata(layer), "rule": rule.to_dict()}


def corner_of(layer: Labels) -> tuple[int, ...]:
    """Return the first pixel of an annotation in its image; () if it covers the whole image."""
    return tuple(int(start) for start in _metadata(layer).get("corner", []))


def is_ours(layer: Layer) -> bool:
    """Return whether this plugin made the layer to be painted on."""
    return bool(_metadata(layer).get("kind") == "annotation")


def is_prediction(layer: Layer) -> bool:
    """Return whether this plugin made the layer as a result."""
    return _metadata(layer).get("kind") in ("segmentation", "prediction", "probability")


def _metadata(layer: Layer) -> dict[str, Any]:
    metadata = layer.metadata.get(_KEY, {})
    return metadata if isinstance(metadata, dict) else {}


# -- label rule


def rule_of(layer: Labels, classes: int) -> DetectedRule:
    """Return the label rule of a layer: the stored one, else one detected from its values.

    Parameters
    ----------
    layer
        Layer made by this plugin or elsewhere.
    classes
        Number of classes without the background.
    """
    metadata = _metadata(layer)
    if "rule" in metadata:
        return _stored(LabelRule.from_dict(metadata["rule"]))
    if metadata.get("kind") == "annotation":
        return _stored(LabelRule())
    return detect_rule(value_counts(_sample_values(layer)), classes)


def change_layer_meaning(
    layer: Labels, rule: LabelRule, meaning: Meaning, classes: int
) -> DetectedRule:
    """Return the rule of a layer after the user chose another meaning of its values."""
    return change_meaning(rule, meaning, value_counts(_sample_values(layer)), classes)


def _stored(rule: LabelRule) -> DetectedRule:
    return DetectedRule(rule, certain=True, reason="As chosen before.")


def _sample_values(layer: Labels) -> Any:
    """Return pixels to guess a label rule from; of a large stack, evenly spaced slices."""
    data = layer.data
    total = int(np.prod(data.shape, dtype=float))
    if total <= _SAMPLED or data.ndim < 3:
        return np.asarray(data)
    step = -(-total // _SAMPLED)
    return np.asarray(data[:: min(step, data.shape[0])])


def set_class_colors(layer: Labels, rule: LabelRule, classes: Sequence[ClassLabel]) -> None:
    """Show the colors and names of the classes in an annotation made by this plugin."""
    if not is_ours(layer):
        return
    colors: dict[int | None, str] = {None: _UNKNOWN_COLOR, 0: "transparent"}
    names = {0: "unlabeled"}
    listed = [(0, "background", BACKGROUND_COLOR)]
    listed += [(k, label.name, label.color) for k, label in enumerate(classes, start=1)]
    for k, name, color in listed:
        with suppress(ValueError):  # instance labels have class 1 alone
            value = rule.value_of(k)
            colors[value], names[value] = color, name
    for value, k in rule.remapped:
        if k == UNLABELED:
            colors[value], names[value] = _UNKNOWN_COLOR, "removed class"
    accept_no_direction(layer)
    layer.colormap = DirectLabelColormap(color_dict=colors)
    layer.features = {"index": list(names), "class": list(names.values())}
