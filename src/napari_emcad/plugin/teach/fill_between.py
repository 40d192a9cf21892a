"""Fills a class of an annotation between the slices on which it was painted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.imaging.interpolate_masks import gaps, interpolate_masks
from napari_emcad.inference.events import Progress
from napari_emcad.plugin.layers.channel_axis import with_channels

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator

    from numpy.typing import NDArray

    from napari_emcad.plugin.annotations.pair import AnnotationPair

    Positions = tuple[NDArray[np.intp], ...]


def stack_axis(pair: AnnotationPair) -> int | None:
    """Return the axis of an annotation's values along which slices are stacked; None if flat."""
    spatial = pair.axes.replace("C", "")
    stacked = [axis for axis, letter in enumerate(spatial) if letter not in "YX"]
    if not stacked:
        return None
    return spatial.index("Z") if "Z" in spatial else stacked[-1]


def fill_job(
    pair: AnnotationPair, value: int, stop: threading.Event
) -> Generator[Any, None, Positions | None]:
    """Return the unlabeled pixels to fill between the slices that have a value.

    Parameters
    ----------
    pair
        Annotation of a stack.
    value
        Value of the class.
    stop
        Ends the job without a result.

    Raises
    ------
    ValueError
        If there is no gap between two slices; the message is for the user.
    """
    axis = stack_axis(pair)
    values = np.moveaxis(np.asarray(pair.values), axis or 0, -3)
    filled = np.zeros(values.shape, bool)
    jobs = [
        (at, gap)
        for at in np.ndindex(values.shape[:-3])
        for gap in gaps((values[at] == value).any((1, 2)))
    ]
    if axis is None or not jobs:
        raise ValueError("Paint the class on two slices with other slices between them first.")
    for n, (at, (one, other)) in enumerate(jobs):
        if stop.is_set():
            return None
        yield Progress(n, len(jobs))
        volume = values[at]
        masks = interpolate_masks(volume[one] == value, volume[other] == value, other - one - 1)
        for offset, mask in enumerate(masks, start=1):
            filled[at][one + offset] = mask & (volume[one + offset] == 0)
    return np.nonzero(np.moveaxis(filled, -3, axis))


def paint(pair: AnnotationPair, positions: Positions, value: int) -> None:
    """Set pixels of an annotation to a value, as one step of napari's undo."""
    channel = np.zeros(positions[0].size, int)
    pair.labels.data_setitem(with_channels(positions, pair.layer_axes, channel), value)
    pair.labels.refresh()
