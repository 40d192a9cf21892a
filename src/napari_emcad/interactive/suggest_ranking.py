"""Where the next strokes would help most, from doubt and what is painted already.

A square is worth painting if the network is undecided in much of what looks like it and like no
paint: places are chosen one by one so that together they look like as much of the doubt as can be
(facility location: Nemhauser, Wolsey and Fisher, "An analysis of approximations for maximizing
submodular set functions", 1978, which shows that one by one is good enough).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from napari_emcad.annotation.label_rules import UNLABELED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from napari_emcad.imaging.slices import Index

    _Read = tuple[
        NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_], Index
    ]

PATCH = 64
"""Side of a square that is suggested, in pixels of what is looked at."""

UNCERTAIN = 0.25
"""A pixel of this much doubt is doubtful: entropy has it at a chance of 4 %, or of 96 %."""

_DIGITS = 9
"""What squares are worth is rounded, so that those of equal worth come in reading order."""

_STEPS = 4
"""Squares are tried at every quarter of their side."""

_TOLD = 0.9
"""Share of what a place could teach that strokes on one that looks the same have taught."""

_LEAST = 0.25
"""A square with less doubt than such a share of the most doubtful one is not suggested."""

_MOST = 2048
"""Squares that are ranked, and that they are compared with: of more, the most doubtful ones, and
so many evenly spaced ones."""


@dataclass(frozen=True, slots=True)
class SuggestedRegion:
    """A square that is worth painting.

    Attributes
    ----------
    index
        Position of its slice along the stacked axes.
    rows, columns
        Half-open ranges in the slice, in image pixels.
    use
        What painting it is expected to bring, 0 … 1; only the order means something.
    """

    index: Index
    rows: tuple[int, int]
    columns: tuple[int, int]
    use: float

    @property
    def center(self) -> tuple[float, float]:
        """Row and column of its middle, in pixels whose centers are whole numbers."""
        return (sum(self.rows) - 1) / 2, (sum(self.columns) - 1) / 2


@dataclass(frozen=True, slots=True, eq=False)
class UncertainSlice:
    """A slice of which a network has said how undecided it is.

    Attributes
    ----------
    index
        Position along the stacked axes.
    doubt
        0 … 1, such as entropy or disagreement: a pixel each, or coarser.
    target
        ``(H, W)``: the class that is painted, `UNLABELED` elsewhere.
    looks
        What regions are told apart by: planes of the image, features of the network; each
        ``(h, w)`` of its own resolution. Without any all regions count as alike.
    """

    index: Index
    doubt: NDArray[np.floating]
    target: NDArray[np.integer]
    looks: Sequence[NDArray[np.floating]] | NDArray[np.floating] = ()


def suggest_regions(
    slices: Iterable[UncertainSlice], patch: int = PATCH, most: int = 5
) -> list[SuggestedRegion]:
    """Return the squares most worth painting, the best one first; they do not overlap.

    The doubt of a square is its mean, times the share of it that is doubtful. The use of a square
    is the share of all doubt in squares that look like it and unlike those that hold paint or were
    suggested before it. Squares that hold paint are left out, and those with far less doubt than
    the most doubtful one.

    Parameters
    ----------
    slices
        Of one image, with `looks` of the same channels; they are read once, one by one.
    patch
        Side of a square; a shorter side of a slice cuts it.
    most
        How many are returned at most.

    Raises
    ------
    ValueError
        If a square has no pixel.
    """
    squares = Squares(patch)
    for each in slices:
        squares.add(each)
    return squares.best(most)


class Squares:
    """The squares of slices that come one by one; of a slice nothing else is kept.

    Parameters
    ----------
    patch
        As for `suggest_regions`.

    Raises
    ------
    ValueError
        If a square has no pixel.
    """

    def __init__(self, patch: int = PATCH) -> None:
        if patch < 1:
            raise ValueError(f"Squares of {patch} pixels; they need 1 at least.")
        self._patch = patch
        self._read: list[_Read] = []

    def add(self, of: UncertainSlice) -> None:
        """Take the squares of another slice."""
        self._read.append(_squares(of, self._patch))

    def best(self, most: int = 5) -> list[SuggestedRegion]:
        """Return those most worth painting so far, as `suggest_regions` does."""
        return _best(self._read, most) if self._read else []


def _best(read: Sequence[_Read], most: int) -> list[SuggestedRegion]:
    boxes, worth, looks, painted = (
        np.concatenate([each[part] for each in read]) for part in range(4)
    )
    which = np.repeat(np.arange(len(read)), [len(each[0]) for each in read])
    looks = _standardized(looks)
    ranked, doubtful = _ranked(np.where(painted, 0, worth)), np.flatnonzero(worth > 0)
    doubtful = doubtful[spread(len(doubtful), _MOST)]
    alike = _likeness(cdist(looks[ranked], looks[doubtful]))
    told = _likeness(_distance(looks[doubtful], looks[painted]))
    share = worth[doubtful] / worth[doubtful].sum()
    free = np.ones(len(ranked), bool)
    found: list[SuggestedRegion] = []
    while free.any() and len(found) < most:
        use = np.maximum(alike - _TOLD * told, 0) @ share
        best = int(np.where(free, use.round(_DIGITS), -1.0).argmax())
        box, place = boxes[ranked[best]], which[ranked[best]]
        rows, columns = (int(box[0]), int(box[1])), (int(box[2]), int(box[3]))
        found.append(SuggestedRegion(read[int(place)][4], rows, columns, float(use[best])))
        free &= (which[ranked] != place) | ~_overlapping(boxes[ranked], box)
        told = np.maximum(told, alike[best])
    return found


def _ranked(worth: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return which squares may be suggested, the most doubtful ones first."""
    fit = np.flatnonzero((worth > 0) & (worth >= _LEAST * worth.max()))
    return fit[np.argsort(-worth[fit], kind="stable")][:_MOST]


def best_slices(found: Sequence[SuggestedRegion]) -> list[Index]:
    """Return the slices that squares were suggested in, those of most use first."""
    total: dict[Index, float] = {}
    for each in found:
        total[each.index] = total.get(each.index, 0.0) + each.use
    return sorted(total, key=lambda index: -total[index])


def in_order(found: Sequence[SuggestedRegion]) -> list[SuggestedRegion]:
    """Return squares slice by slice, so that they are stepped through without going to and fro.

    Slices come in the order of `best_slices`, the squares of each by their use.
    """
    places = {index: n for n, index in enumerate(best_slices(found))}
    return sorted(found, key=lambda each: (places[each.index], -each.use))


def spread(count: int, most: int) -> list[int]:
    """Return so many of `count` positions at most, evenly spaced, the ends among them.

    Raises
    ------
    ValueError
        If none may be chosen.
    """
    if most < 1:
        raise ValueError(f"{most} positions; there must be at least 1.")
    if count <= most:
        return list(range(count))
    if most == 1:
        return [count // 2]
    return [round(n * (count - 1) / (most - 1)) for n in range(most)]


def _squares(of: UncertainSlice, patch: int) -> _Read:
    """Return squares ``(n, 4)``, what each is worth, how it looks, whether it holds paint."""
    height, width = of.target.shape
    starts = [_starts(size, patch) for size in (height, width)]
    sides = min(patch, height), min(patch, width)
    tops, lefts = (grid.ravel() for grid in np.meshgrid(*starts, indexing="ij"))
    boxes = np.stack([tops, tops + sides[0], lefts, lefts + sides[1]], axis=1)
    doubt = _enlarged(np.nan_to_num(of.doubt, nan=0.0), (height, width))
    worth = _means(doubt, boxes) * _means(doubt >= UNCERTAIN, boxes)
    painted = _means(of.target != UNLABELED, boxes) * sides[0] * sides[1] > 0.5
    columns = []
    for plane in of.looks:
        large = _enlarged(plane, (height, width))
        mean = _means(large, boxes)
        columns += [mean, np.sqrt(np.maximum(_means(large**2, boxes) - mean**2, 0))]
    looks = np.stack(columns, axis=1) if columns else np.zeros((len(boxes), 0))
    return boxes, worth.round(_DIGITS), looks, painted, of.index


def _starts(size: int, patch: int) -> NDArray[np.int64]:
    """Return where squares begin along a side; the last one ends with it."""
    last = max(size - patch, 0)
    return np.unique([*range(0, last, max(patch // _STEPS, 1)), last])


def _enlarged(plane: NDArray[np.generic], shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return a plane in image pixels; a coarse one is repeated."""
    rows, columns = (
        np.arange(size) * coarse // size for size, coarse in zip(shape, plane.shape, strict=True)
    )
    large: NDArray[np.float64] = np.asarray(plane, np.float64)[rows[:, None], columns[None]]
    return large


def _means(plane: NDArray[np.generic], boxes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean of a plane in each square."""
    summed = np.zeros((plane.shape[0] + 1, plane.shape[1] + 1))
    summed[1:, 1:] = np.asarray(plane, np.float64).cumsum(0).cumsum(1)
    top, bottom, left, right = boxes.T
    total = summed[bottom, right] - summed[top, right] - summed[bottom, left] + summed[top, left]
    means: NDArray[np.float64] = total / ((bottom - top) * (right - left))
    return means


def _standardized(looks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return looks in which squares that are typically different lie about 1 apart."""
    spread = looks.std(0)
    scaled = np.where(spread > 1e-9, (looks - looks.mean(0)) / np.maximum(spread, 1e-9), 0.0)
    result: NDArray[np.float64] = scaled / np.sqrt(max(2 * looks.shape[1], 1))
    return result


def _distance(looks: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far each square looks from the nearest of others."""
    if not len(others):
        return np.full(len(looks), np.inf)
    if not looks.shape[1]:
        return np.zeros(len(looks))
    nearest: NDArray[np.float64] = KDTree(others).query(looks)[0]
    return nearest


def _likeness(apart: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 for what looks the same, to 0; about 0.1 for what is typically different."""
    likeness: NDArray[np.float64] = np.exp(-2 * apart**2)
    return likeness


def _overlapping(boxes: NDArray[np.int64], box: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which boxes share pixels with one."""
    inside: NDArray[np.bool_] = (boxes[:, 0] < box[1]) & (boxes[:, 1] > box[0])
    inside &= (boxes[:, 2] < box[3]) & (boxes[:, 3] > box[2])
    return inside
