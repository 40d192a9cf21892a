"""Annotation layers: made for an image, colored by the classes, and read as what they mean."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_emcad.annotation.label_rules import (
    UNLABELED,
    Detected,
    LabelRule,
    detect,
    read_as,
    value_counts,
)
from napari_emcad.plugin.layers.geometry import (
    carried,
    carried_axes,
    geometry,
    levels,
    visible_range,
    with_channels,
    without_channels,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image, Layer

    from napari_emcad.annotation.label_rules import Meaning
    from napari_emcad.io.checkpoints.classes import ClassLabel

_KEY = "napari-emcad"
BACKGROUND_COLOR = "#7f8fa6"
_UNKNOWN_COLOR = "#ffffff"
_OPACITY = 0.7
_BRUSH = 6
_LARGEST = 2**28
"""Pixels of an annotation; of a larger image it covers the part that is on screen."""

_LOOKED_AT = 2**24
"""Pixels of a layer made elsewhere that are looked at to tell what its numbers mean."""


def new_annotation(layer: Image, axes: str) -> Labels:
    """Return an empty annotation layer that lies on an image.

    Parameters
    ----------
    layer
        The image.
    axes
        A letter per axis of its data, C for channels.

    Returns
    -------
    Labels
        uint8, of the image's finest level. Channels share its memory: those behind another axis
        are carried along, see `layers.carried`, others are left out. Of an image of more than 2²⁸
        pixels it covers the rows and columns on screen, and of a stack that is still too large
        then the slices around the one that is shown.

    Raises
    ------
    ValueError
        If even one slice of what is on screen is too large.
    """
    kept = tuple(i for i, letter in enumerate(axes) if letter != "C")
    spatial = "".join(axes[i] for i in kept)
    finest = levels(layer)[0]
    shape = tuple(finest.array.shape[axis] for axis in kept)
    corner, size = _region(layer, kept, spatial, shape)
    annotation = Labels(
        carried(np.zeros(size, np.uint8), axes[: layer.ndim], finest.array.shape),
        name=f"{layer.name} annotation",
        opacity=_OPACITY,
        metadata={_KEY: {"kind": "annotation", "corner": list(corner)}},
        **place(layer, axes, corner),
    )
    annotation.brush_size = _BRUSH
    return annotation


def place(layer: Image, axes: str, corner: Sequence[int]) -> dict[str, Any]:
    """Return where an annotation that begins at a spatial corner of an image lies."""
    own = axes[: layer.ndim]
    first = with_channels(corner, own) if len(corner) else ()
    return geometry(layer, carried_axes(own), levels(layer)[0], first)


def _region(
    layer: Image, kept: tuple[int, ...], spatial: str, shape: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return corner and size of what an annotation covers."""
    if np.prod(shape, dtype=float) <= _LARGEST:
        return (0,) * len(shape), shape
    finest = levels(layer)[0]
    ranges = [
        visible_range(layer, finest, axis) if letter in "YX" else (0, size)
        for axis, letter, size in zip(kept, spatial, shape, strict=True)
    ]
    stacked = [i for i, letter in enumerate(spatial) if letter not in "YX"]
    for i in stacked:
        total = np.prod([last - first for first, last in ranges], dtype=float)
        if total > _LARGEST:
            ranges[i] = _around(layer, kept[i], shape[i], int(_LARGEST * shape[i] / total))
    size = tuple(last - first for first, last in ranges)
    if np.prod(size, dtype=float) > _LARGEST:
        raise ValueError("What is on screen is too large to paint on; zoom in first.")
    return tuple(first for first, _ in ranges), size


def _around(layer: Image, axis: int, size: int, count: int) -> tuple[int, int]:
    """Return a range of so many slices around the one that is shown."""
    count = min(max(count, 1), size)
    shown = int(layer.corner_pixels[0, axis])
    first = min(max(shown - count // 2, 0), size - count)
    return first, first + count


def corner_of(layer: Labels) -> tuple[int, ...]:
    """Return where in its image an annotation begins, along spatial axes; () if it covers it."""
    return tuple(int(each) for each in _told(layer).get("corner", []))


def why_not_on(layer: Labels, image: Image, axes: str) -> str:
    """Return why a layer cannot lie on an image, pixel by pixel, or ""."""
    if layer.multiscale:
        return "it is multiscale, and napari cannot paint on it"
    whole = levels(image)[0].array.shape
    if len(whole) != len(axes):
        return f"its image had {len(axes)} axes and now has {len(whole)}"
    shape = tuple(size for size, letter in zip(whole, axes, strict=True) if letter != "C")
    ours, corner = _spatial_shape(layer, axes[: image.ndim]), corner_of(layer)
    if ours is None:
        return f"it has {layer.ndim} axes, which is too many or too few"
    if not _shared(layer.data, axes[: image.ndim]):
        return "its channels hold different numbers, and there is one annotation for all of them"
    if ours == shape and not any(corner):
        return ""
    ends = [first + size for first, size in zip(corner, ours, strict=False)]
    within = len(ends) == len(shape) and all(e <= s for e, s in zip(ends, shape, strict=True))
    if within and np.prod(shape, dtype=float) > _LARGEST:
        return ""
    return f"it has {_size(ours)} pixels, the image {_size(shape)}; they must agree"


def _spatial_shape(layer: Labels, axes: str) -> tuple[int, ...] | None:
    """Return the shape of an annotation without the channels that it carries along."""
    if layer.ndim not in (len(axes.replace("C", "")), len(carried_axes(axes))):
        return None
    return tuple(without_channels(layer.data, axes).shape)


def share_channels(layer: Labels, axes: str) -> None:
    """Let all channels of a layer share one memory again, as those of a copy or a file do not.

    Nothing happens where they hold different numbers; `why_not_on` says so.

    Parameters
    ----------
    layer
        The annotation.
    axes
        A letter per axis of the image layer, without the color axis of RGB.
    """
    if layer.multiscale or _spatial_shape(layer, axes) is None or _shared(layer.data, axes):
        return
    sizes = dict(zip(carried_axes(axes), layer.data.shape, strict=True))
    whole = [sizes.get(axis, 1) for axis in range(len(axes))]
    together = carried(np.array(without_channels(layer.data, axes)), axes, whole)
    if np.array_equal(np.asarray(layer.data), together):
        layer.data = together


def _shared(data: Any, axes: str) -> bool:
    """Whether an array that may have a channel axis has one memory for all channels."""
    kept = carried_axes(axes)
    if data.ndim != len(kept):
        return True
    strides = getattr(data, "strides", None) or (1,) * data.ndim
    channels = [n for n, axis in enumerate(kept) if axes[axis] == "C"]
    return all(strides[n] == 0 or data.shape[n] == 1 for n in channels)


def why_not_painted(layer: Labels, image: Image, axes: str) -> str:
    """Return why nothing can be painted on a layer of an image, or "".

    Parameters
    ----------
    layer, image
        The annotation, and what it lies on.
    axes
        A letter per axis of the image layer, without the color axis of RGB.
    """
    data = layer.data
    if layer.ndim < len(carried_axes(axes)):
        return (
            f"“{layer.name}” has no axis for the channels of “{image.name}”, so napari shows other "
            f"slices of it: it is learned from as it is. Paint on a New annotation."
        )
    if data.flags.writeable if isinstance(data, np.ndarray) else not hasattr(data, "compute"):
        return ""
    return f"“{layer.name}” is read-only: it is learned from as it is."


def is_prediction(layer: Layer) -> bool:
    """Whether this plugin made a layer as a result."""
    return _told(layer).get("kind") in ("segmentation", "prediction", "probability")


def read_rule(layer: Labels, classes: int) -> Detected:
    """Return what a layer's numbers mean: what was said before, or what they look like.

    Parameters
    ----------
    layer
        Made by this plugin, or elsewhere.
    classes
        How many there are, without the background.
    """
    told = _told(layer)
    if "rule" in told:
        kept = told["rule"]
        rule = LabelRule(kept["meaning"], tuple((v, k) for v, k in kept["moved"]))
        return _said(rule)
    if told.get("kind") == "annotation":
        return _said(LabelRule())
    return detect(value_counts(_sample(layer)), classes)


def read_anew(layer: Labels, rule: LabelRule, meaning: Meaning, classes: int) -> Detected:
    """Return what a layer's numbers mean once the user has said which kind of layer it is."""
    return read_as(rule, meaning, value_counts(_sample(layer)), classes)


def _said(rule: LabelRule) -> Detected:
    return Detected(rule, sure=True, why="As it was said before.")


def _sample(layer: Labels) -> Any:
    """Return the layer's numbers, or of a large stack those of evenly spaced slices."""
    data = layer.data
    total = int(np.prod(data.shape, dtype=float))
    if total <= _LOOKED_AT or data.ndim < 3:
        return np.asarray(data)
    step = -(-total // _LOOKED_AT)
    return np.asarray(data[:: min(step, data.shape[0])])


def keep_rule(layer: Labels, rule: LabelRule) -> None:
    """Note in the layer what its numbers mean."""
    told = {"rule": {"meaning": rule.meaning, "moved": [list(pair) for pair in rule.moved]}}
    layer.metadata[_KEY] = {**_told(layer), **told}


def mark(layer: Labels, corner: Sequence[int], rule: LabelRule, ours: bool) -> None:
    """Note in a layer that it is an annotation, and how it is read."""
    layer.metadata[_KEY] = {"kind": "annotation", "corner": list(corner)} if ours else {}
    keep_rule(layer, rule)


def is_ours(layer: Layer) -> bool:
    """Whether this plugin made the layer to be painted on."""
    return bool(_told(layer).get("kind") == "annotation")


def color(layer: Labels, rule: LabelRule, classes: Sequence[ClassLabel]) -> None:
    """Give an annotation the colors and names of the classes."""
    if not is_ours(layer):
        return
    colors: dict[int | None, str] = {None: _UNKNOWN_COLOR, 0: "transparent"}
    names = {0: "unpainted"}
    listed = [(0, "background", BACKGROUND_COLOR)]
    listed += [(k, each.name, each.color) for k, each in enumerate(classes, start=1)]
    for k, name, shown in listed:
        with suppress(ValueError):  # objects are of class 1 alone
            value = rule.value_of(k)
            colors[value], names[value] = shown, name
    for value, k in rule.moved:
        if k == UNLABELED:
            colors[value], names[value] = _UNKNOWN_COLOR, "removed class"
    layer.colormap = DirectLabelColormap(color_dict=colors)
    layer.features = {"index": list(names), "class": list(names.values())}


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


def _told(layer: Layer) -> dict[str, Any]:
    found = layer.metadata.get(_KEY, {})
    return found if isinstance(found, dict) else {}
