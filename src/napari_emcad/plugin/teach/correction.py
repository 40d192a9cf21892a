"""What a model predicts, copied into an annotation to be corrected."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.plugin.annotations.layer import corner_of
from napari_emcad.plugin.layers.geometry import with_channels

if TYPE_CHECKING:
    from napari_emcad.imaging.slices import Slices
    from napari_emcad.interactive.project import AnnotationProject
    from napari_emcad.plugin.annotations.pairs import AnnotationPair
    from napari_emcad.plugin.layers.results import Result

_MOST = 2**22
"""Pixels that are copied into an annotation at once; each can be undone."""


def copy_prediction(
    pair: AnnotationPair, result: Result | None, slices: Slices | None, project: AnnotationProject
) -> int:
    """Copy a prediction to where nothing is painted yet; return how many pixels that were.

    Parameters
    ----------
    pair
        What is painted on.
    result
        The prediction of its image.
    slices
        What is on screen of it: one page, or a part of it.
    workbook
        Says which number stands for a class.

    Raises
    ------
    ValueError
        If nothing can be copied; the message says why.
    """
    if result is None or slices is None:
        raise ValueError("There is no prediction of what is on screen.")
    if result.target.level.array.shape != slices.image.shape:
        raise ValueError("The prediction is of another resolution.")
    if slices.height * slices.width > _MOST:
        raise ValueError("Zoom in: so much cannot be copied at once.")
    if why := pair.why_not_painted():
        raise ValueError(why)
    where = slices.where(slices.indices[0], (0, slices.height), (0, slices.width))
    said = _values(pair, result, project)[result.labels_at(where)]
    places, values = _unpainted(pair, where, said)
    if len(values):
        channel = np.zeros(len(values), int)
        pair.labels.visible = True  # napari writes to what is drawn as well
        pair.labels.data_setitem(with_channels(places, pair.letters, channel), values)
        pair.labels.refresh()  # another channel may be on screen
    return len(values)


def _values(pair: AnnotationPair, result: Result, project: AnnotationProject) -> Any:
    """Return what to paint for each class of a prediction; 0 where nothing stands for it."""
    rule, dtype = project.pairs[pair.key].rule, pair.labels.data.dtype
    names = [each.name for each in project.classes]
    known = project.called_now(result.target.checkpoint.classes)
    numbers = [0, *(names.index(c.name) + 1 if c.name in names else None for c in known)]
    values = np.zeros(np.iinfo(result.labels.dtype).max + 1, dtype)
    for said, k in enumerate(numbers):
        with suppress(ValueError, OverflowError):
            values[said] = 0 if k is None else rule.value_of(k)
    return values


def _unpainted(pair: AnnotationPair, where: Any, said: Any) -> tuple[Any, Any]:
    """Return the annotation's unpainted places there, and what is to be painted on them."""
    corner = corner_of(pair.labels) or (0,) * pair.numbers.ndim
    grid = np.indices(said.shape).reshape(said.ndim, -1)
    free = iter(range(said.ndim))
    places = []
    for part, start in zip(where, corner, strict=True):
        first = part.start if isinstance(part, slice) else part
        offsets = grid[next(free)] if isinstance(part, slice) else np.zeros(grid.shape[1], int)
        places.append(offsets + first - start)
    inside = np.ones(grid.shape[1], bool)
    for each, size in zip(places, pair.numbers.shape, strict=True):
        inside &= (each >= 0) & (each < size)
    kept = tuple(each[inside] for each in places)
    values = said.reshape(-1)[inside]
    empty = (np.asarray(pair.numbers[kept]) == 0) & (values != 0)
    return tuple(each[empty] for each in kept), values[empty]
