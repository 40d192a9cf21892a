"""Annotation layers: made for an image, coloured by the classes, and read as what they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_emcad.imaging.paint import UNPAINTED, Detected, LabelRule, detect, value_counts
from napari_emcad.plugin.layers import geometry, levels, visible_range

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image, Layer

    from napari_emcad.io.checkpoint import ClassLabel

_KEY = "napari-emcad"
BACKGROUND_COLOUR = "#7f8fa6"
_UNKNOWN_COLOUR = "#ffffff"
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
        uint8, of the image's finest level without channels. Of an image of more than 2²⁸ pixels
        it covers the rows and columns on screen, and of a stack that is still too large then the
        slices around the one that is shown.

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
        np.zeros(size, np.uint8),
        name=f"{layer.name} annotation",
        opacity=_OPACITY,
        metadata={_KEY: {"kind": "annotation", "corner": list(corner)}},
        **geometry(layer, kept, finest, corner),
    )
    annotation.brush_size = _BRUSH
    return annotation


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
    """Return where in its image an annotation begins; () if it covers it."""
    told = _told(layer).get("corner", [])
    return tuple(int(each) for each in told) if len(told) == layer.ndim else ()


def why_not_on(layer: Labels, shape: tuple[int, ...]) -> str:
    """Return why a layer cannot lie on an image of this spatial shape, pixel by pixel, or ""."""
    if layer.multiscale:
        return "it is multiscale, and napari cannot paint on it"
    ours, corner = tuple(layer.data.shape), corner_of(layer)
    if ours == shape and not any(corner):
        return ""
    ends = [first + size for first, size in zip(corner, ours, strict=False)]
    within = len(ends) == len(shape) and all(e <= s for e, s in zip(ends, shape, strict=True))
    if within and np.prod(shape, dtype=float) > _LARGEST:
        return ""
    return f"it has {_size(ours)} pixels, the image {_size(shape)}; they must agree"


def why_not_painted(layer: Labels) -> str:
    """Return why nothing can be painted on a layer, or ""."""
    data = layer.data
    if data.flags.writeable if isinstance(data, np.ndarray) else not hasattr(data, "compute"):
        return ""
    return f"“{layer.name}” is read-only: it is learnt from as it is."


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


def colour(layer: Labels, rule: LabelRule, classes: Sequence[ClassLabel]) -> None:
    """Give an annotation the colours and names of the classes."""
    if not is_ours(layer):
        return
    colours: dict[int | None, str] = {None: _UNKNOWN_COLOUR, 0: "transparent"}
    names = {0: "unpainted"}
    listed = [(0, "background", BACKGROUND_COLOUR)]
    listed += [(k, each.name, each.colour) for k, each in enumerate(classes, start=1)]
    for k, name, shown in listed:
        value = rule.value_of(k)
        colours[value], names[value] = shown, name
    for value, k in rule.moved:
        if k == UNPAINTED:
            colours[value], names[value] = _UNKNOWN_COLOUR, "removed class"
    layer.colormap = DirectLabelColormap(color_dict=colours)
    layer.features = {"index": list(names), "class": list(names.values())}


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


def _told(layer: Layer) -> dict[str, Any]:
    found = layer.metadata.get(_KEY, {})
    return found if isinstance(found, dict) else {}
