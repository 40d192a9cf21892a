"""Copies objects that the user has accepted into an annotation, from which the model learns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_emcad.plugin.annotations.layer import corner_of
from napari_emcad.plugin.layers.attention import show_layer
from napari_emcad.plugin.layers.channel_axis import with_channels
from napari_emcad.plugin.objects.measured_layer import class_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_emcad.interactive.project import AnnotationProject
    from napari_emcad.plugin.annotations.pair import AnnotationPair

_RIM = 6
"""Pixels around an object that become background where no other object lies."""


def copy_objects(
    pair: AnnotationPair, layer: Labels, numbers: Sequence[int], project: AnnotationProject
) -> int:
    """Copy objects with a rim of background to the unlabeled pixels of an annotation.

    Parameters
    ----------
    pair
        Annotation and image.
    layer
        Labels of the image's spatial shape.
    numbers
        Labels of the objects.
    project
        Has the classes, and the value of each class in the annotation.

    Returns
    -------
    int
        Number of pixels that were copied; one step of napari's undo.

    Raises
    ------
    ValueError
        If they cannot be copied; the message is for the user.
    """
    if reason := pair.why_not_paintable():
        raise ValueError(reason)
    part = _covered_part(pair, layer)
    labels = np.asarray(layer.data)[part]
    values = np.zeros(labels.shape, pair.labels.data.dtype)
    values[_rim(labels, numbers)] = project.entries[pair.key].rule.value_of(0)
    for number, value in _value_by_number(pair, layer, numbers, project).items():
        values[labels == number] = value
    positions = np.nonzero((values != 0) & (pair.values == 0))
    if positions[0].size:
        channel = np.zeros(positions[0].size, int)
        show_layer(pair.labels, True)  # napari updates the drawn slice only of visible layers
        where = with_channels(positions, pair.layer_axes, channel)
        pair.labels.data_setitem(where, values[positions])
        pair.labels.refresh()
    return int(positions[0].size)


def _covered_part(pair: AnnotationPair, layer: Labels) -> tuple[slice, ...]:
    """Return the part of a result that the annotation covers."""
    shape = pair.values.shape
    corner = corner_of(pair.labels) or (0,) * len(shape)
    ends = [first + size for first, size in zip(corner, shape, strict=True)]
    sizes = tuple(layer.data.shape)
    if len(sizes) != len(shape) or any(e > s for e, s in zip(ends, sizes, strict=True)):
        raise ValueError(
            f"“{layer.name}” does not lie on the annotation of “{pair.image.name}”, whose size is "
            f"{' × '.join(map(str, shape))} pixels."
        )
    return tuple(slice(first, end) for first, end in zip(corner, ends, strict=True))


def _rim(labels: NDArray[Any], numbers: Sequence[int]) -> NDArray[np.bool_]:
    """Return the background pixels within `_RIM` pixels of objects, in their own slices."""
    chosen = np.isin(labels, numbers)
    rim = np.zeros(labels.shape, bool)
    for index in np.ndindex(labels.shape[:-2]):
        if chosen[index].any():
            distance = ndimage.distance_transform_edt(~chosen[index])
            rim[index] = (distance <= _RIM) & (labels[index] == 0)
    return rim


def _value_by_number(
    pair: AnnotationPair, layer: Labels, numbers: Sequence[int], project: AnnotationProject
) -> dict[int, int]:
    """Return the value of the annotation for every object, by the name of its class."""
    rule, named = project.entries[pair.key].rule, class_names(layer) or {}
    classes = [label.name for label in project.classes]
    values = {}
    for number in numbers:
        name = named.get(number, "")
        if name not in classes and len(classes) > 1:
            raise ValueError(
                f"Object {number} has the class “{name}”, which is none of those annotated: "
                f"{', '.join(classes)}."
            )
        k = classes.index(name) + 1 if name in classes else 1
        values[number] = rule.value_of(k)
    return values
