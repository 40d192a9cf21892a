"""Copies a prediction into an annotation, so that it can be corrected."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.plugin.annotations.layer import corner_of
from napari_emcad.plugin.layers.attention import show_layer
from napari_emcad.plugin.layers.channel_axis import with_channels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_emcad.imaging.slices import Slices
    from napari_emcad.interactive.project import AnnotationProject
    from napari_emcad.plugin.annotations.pair import AnnotationPair
    from napari_emcad.plugin.layers.result import Result

    Positions = tuple[NDArray[np.intp], ...]

_MOST_PIXELS = 2**22
"""Largest number of pixels that are copied at once; napari stores all of them for undo."""


@dataclass(frozen=True, slots=True, eq=False)
class Copied:
    """The pixels of a prediction that were copied into an annotation.

    Attributes
    ----------
    pair
        Annotation and image.
    positions, values
        Positions along the annotation's spatial axes, and the values painted there.
    """

    pair: AnnotationPair
    positions: tuple[Any, ...]
    values: Any

    @property
    def count(self) -> int:
        """Number of pixels."""
        return len(self.values)

    def is_there(self) -> bool:
        """Return whether the pixels were not taken back."""
        try:
            present = np.asarray(self.pair.values[self.positions])
        except IndexError:  # the layer has other data
            return False
        return bool((present == self.values).any())


def copy_prediction(
    pair: AnnotationPair, result: Result | None, slices: Slices | None, project: AnnotationProject
) -> Copied:
    """Copy a prediction to the unlabeled pixels of an annotation.

    Parameters
    ----------
    pair
        Annotation and image.
    result
        Prediction of the image.
    slices
        Visible part of the image: one slice or a part of it.
    project
        Holds the value of each class.

    Returns
    -------
    tuple
        Positions of the copied pixels along the annotation's spatial axes, and their values.

    Raises
    ------
    ValueError
        If nothing can be copied; the message is for the user.
    """
    if result is None or slices is None:
        raise ValueError("There is no visible prediction.")
    if result.target.level.array.shape != slices.image.shape:
        raise ValueError("The prediction has another resolution.")
    if slices.height * slices.width > _MOST_PIXELS:
        raise ValueError("The visible part is too large to be copied at once; zoom in.")
    if reason := pair.why_not_paintable():
        raise ValueError(reason)
    where = slices.where(slices.indices[0], (0, slices.height), (0, slices.width))
    predicted = _value_by_class(pair, result, project)[result.labels_at(where)]
    positions, values = _unlabeled_pixels(pair, where, predicted)
    if len(values):
        channel = np.zeros(len(values), int)
        show_layer(pair.labels, True)  # napari updates the drawn slice only of visible layers
        pair.labels.data_setitem(with_channels(positions, pair.layer_axes, channel), values)
        pair.labels.refresh()  # another channel may be visible than the one that was written
    return Copied(pair, positions, values)


def _value_by_class(pair: AnnotationPair, result: Result, project: AnnotationProject) -> Any:
    """Return the value to paint for each predicted class; 0 if no value stands for it."""
    rule, dtype = project.entries[pair.key].rule, pair.labels.data.dtype
    names = [label.name for label in project.classes]
    predicted = project.with_current_labels(result.target.checkpoint.classes)
    classes = [0, *(names.index(c.name) + 1 if c.name in names else None for c in predicted)]
    values = np.zeros(np.iinfo(result.labels.dtype).max + 1, dtype)
    for predicted_class, k in enumerate(classes):
        with suppress(ValueError, OverflowError):
            values[predicted_class] = 0 if k is None else rule.value_of(k)
    return values


def _unlabeled_pixels(pair: AnnotationPair, where: Any, predicted: Any) -> tuple[Any, Any]:
    """Return positions of unlabeled pixels in the annotation, and the values to paint there."""
    corner = corner_of(pair.labels) or (0,) * pair.values.ndim
    grid = np.indices(predicted.shape).reshape(predicted.ndim, -1)
    free_axes = iter(range(predicted.ndim))
    positions = []
    for part, start in zip(where, corner, strict=True):
        first = part.start if isinstance(part, slice) else part
        is_slice = isinstance(part, slice)
        offsets = grid[next(free_axes)] if is_slice else np.zeros(grid.shape[1], int)
        positions.append(offsets + first - start)
    inside = np.ones(grid.shape[1], bool)
    for axis, size in zip(positions, pair.values.shape, strict=True):
        inside &= (axis >= 0) & (axis < size)
    kept = tuple(axis[inside] for axis in positions)
    values = predicted.reshape(-1)[inside]
    unlabeled = (np.asarray(pair.values[kept]) == 0) & (values != 0)
    return tuple(axis[unlabeled] for axis in kept), values[unlabeled]
