"""A small picture of an annotated slice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.imaging.overlay import blend_labels, to_rgb
from napari_emcad.imaging.read_plane import read_plane

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

SIDE = 96
"""Longer side of a thumbnail in pixels."""

_MOST_READ = 2**24
"""Most pixels of a lazy slice that are read for a thumbnail."""

_OPACITY = 0.75


def annotated_thumbnail(
    image: Any,
    axes: str,
    labels: NDArray[Any],
    colors: Mapping[int, str],
    corner: Sequence[int] = (),
    side: int = SIDE,
) -> NDArray[np.uint8] | None:
    """Return a picture of the slice with the most annotated pixels.

    Parameters
    ----------
    image
        Image array of any kind.
    axes
        One letter per axis of the image.
    labels
        Annotation along the axes of the image without channels, or along a part of them.
    colors
        Colors of values as ``#rrggbb``; values without a color are not drawn.
    corner
        First pixel of the annotation on every axis of the image without channels; () for 0.
    side
        Longer side of the picture in pixels.

    Returns
    -------
    ndarray or None
        ``(H, W, 3)`` uint8; None if nothing is annotated, or the slice would take long to read.
    """
    index = _fullest(labels)
    if index is None:
        return None
    rows, columns = (max(round(side * n / max(labels.shape[-2:])), 1) for n in labels.shape[-2:])
    planes = _planes(image, axes, index, tuple(corner) or (0,) * labels.ndim, labels.shape)
    if planes is None:
        return None
    picture = to_rgb(planes[(slice(None), *_grid(planes.shape[1:], rows, columns))])
    painted = _strongest(labels[index], rows, columns)
    drawn = [value for value in np.unique(painted) if int(value) in colors]
    numbered = np.zeros(painted.shape, np.int64)
    for number, value in enumerate(drawn, 1):
        numbered[painted == value] = number
    return blend_labels(picture, numbered, [colors[int(v)] for v in drawn] or ["#000000"], _OPACITY)


def _fullest(labels: NDArray[Any]) -> tuple[int, ...] | None:
    """Return the position of the slice with the most annotated pixels; None if there are none."""
    stack = labels.shape[:-2]
    counts = np.array([np.count_nonzero(labels[index]) for index in np.ndindex(*stack)])
    if not counts.any():
        return None
    return tuple(int(n) for n in np.unravel_index(counts.argmax(), stack)) if stack else ()


def _planes(
    image: Any, axes: str, index: tuple[int, ...], corner: tuple[int, ...], shape: tuple[int, ...]
) -> NDArray[Any] | None:
    """Return the annotated part of a slice as ``(C, H, W)``."""
    spatial = axes.replace("C", "")
    at: dict[str, int | slice] = {"C": slice(0, 3)}
    for letter, start, size in zip(spatial, corner, shape, strict=True):
        at[letter] = slice(start, start + size)
    stacked = [letter for letter in spatial if letter not in "YX"]
    for letter, position in zip(stacked, index, strict=True):
        at[letter] = corner[spatial.index(letter)] + position
    if not isinstance(image, np.ndarray) and shape[-2] * shape[-1] > _MOST_READ:
        return None
    planes = read_plane(image, [at[letter] for letter in axes], axes)
    order = [letter for letter in axes if isinstance(at[letter], slice)]
    if "C" not in order:
        planes, order = planes[None], ["C", *order]
    return planes.transpose([order.index(letter) for letter in "CYX"])


def _grid(shape: Sequence[int], rows: int, columns: int) -> tuple[Any, ...]:
    """Return evenly spaced rows and columns of a slice, as an index."""
    y, x = (np.arange(n) * size // n for n, size in zip((rows, columns), shape, strict=True))
    return np.ix_(y, x)


def _strongest(plane: NDArray[Any], rows: int, columns: int) -> NDArray[Any]:
    """Return a slice of another size; of every block the largest value, so that strokes stay."""
    plane = np.asarray(plane)
    for axis, n in ((0, rows), (1, columns)):
        size = plane.shape[axis]
        starts = np.arange(n) * size // n
        if n <= size:
            plane = np.maximum.reduceat(plane, starts, axis)
        else:
            plane = np.take(plane, starts, axis)
    return plane
