"""Rank regions of slices by how much new strokes in them would help.

A region is worth annotating if the network is uncertain in many regions that resemble it and
resemble no annotated region. Regions are chosen greedily so that together they resemble as much of
the uncertain area as possible (facility location; Nemhauser, Wolsey and Fisher, "An analysis of
approximations for maximizing submodular set functions", 1978, show that greedy choice is near the
optimum).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from napari_emcad.interactive.region_features import SliceRegions, UncertainSlice, regions_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from napari_emcad.imaging.slices import Index

REGION_SIZE = 64
"""Side of a suggested region in pixels of the searched resolution."""

_DIGITS = 9
"""Decimals to which scores are rounded, so that equal regions come in reading order."""

_DISCOUNT = 0.9
"""Discount of a region's score when a similar region is already annotated."""

_LEAST = 0.25
"""Regions below this share of the highest uncertainty are not suggested."""

_MOST = 2048
"""Largest number of regions that are ranked (the most uncertain ones), and of regions that they
are compared with (evenly spaced ones)."""


@dataclass(frozen=True, slots=True)
class SuggestedRegion:
    """A region that is worth annotating.

    Attributes
    ----------
    index
        Index of its slice along the stacked axes.
    rows, columns
        Half-open ranges of image pixels in the slice.
    score
        Expected benefit of annotating it, 0 … 1; only the order is meaningful.
    uncertainty
        Mean uncertainty of its pixels times the share of those that are uncertain, 0 … 1.
    """

    index: Index
    rows: tuple[int, int]
    columns: tuple[int, int]
    score: float
    uncertainty: float = 0.0

    @property
    def center(self) -> tuple[float, float]:
        """Row and column of its center, in pixels whose centers are integers."""
        return (sum(self.rows) - 1) / 2, (sum(self.columns) - 1) / 2


def suggest_regions(
    slices: Iterable[UncertainSlice], size: int = REGION_SIZE, most: int = 5
) -> list[SuggestedRegion]:
    """Return the regions most worth annotating, the best one first; they do not overlap.

    The uncertainty of a region is its mean times the share of its pixels that are uncertain. The
    score is the share of the total uncertainty in regions that resemble the region and do not
    resemble an annotated or already suggested one. Annotated regions are left out, and those that
    are far less uncertain than the most uncertain one.

    Parameters
    ----------
    slices
        Slices of one image with the same number of feature planes; they are read once, one by one.
    size
        Side of a region in pixels; a shorter side of a slice limits it.
    most
        Largest number of regions.

    Raises
    ------
    ValueError
        If `size` is below 1.
    """
    ranking = RegionRanking(size)
    for uncertain in slices:
        ranking.add(uncertain)
    return ranking.best(most)


class RegionRanking:
    """Collects the regions of slices that arrive one by one, and ranks them.

    Parameters
    ----------
    size
        Side of a region in pixels.

    Raises
    ------
    ValueError
        If `size` is below 1.
    """

    def __init__(self, size: int = REGION_SIZE) -> None:
        if size < 1:
            raise ValueError(f"Regions of {size} pixels; they need 1 at least.")
        self._size = size
        self._slices: list[SliceRegions] = []

    def add(self, uncertain: UncertainSlice) -> None:
        """Add the regions of a slice."""
        self._slices.append(regions_of(uncertain, self._size))

    def best(self, most: int = 5) -> list[SuggestedRegion]:
        """Return the regions most worth annotating so far; see `suggest_regions`."""
        return _best(self._slices, most) if self._slices else []


def _best(slices: Sequence[SliceRegions], most: int) -> list[SuggestedRegion]:
    boxes = np.concatenate([regions.boxes for regions in slices])
    uncertainty = np.concatenate([regions.uncertainty for regions in slices])
    annotated = np.concatenate([regions.annotated for regions in slices])
    features = _standardize(np.concatenate([regions.features for regions in slices]))
    slice_number = np.repeat(np.arange(len(slices)), [len(regions.boxes) for regions in slices])

    candidates = _most_uncertain(np.where(annotated, 0, uncertainty))
    uncertain = np.flatnonzero(uncertainty > 0)
    uncertain = uncertain[evenly_spaced(len(uncertain), _MOST)]
    similarity = _similarity(cdist(features[candidates], features[uncertain]))
    covered = _similarity(_distance_to_nearest(features[uncertain], features[annotated]))
    share = uncertainty[uncertain] / uncertainty[uncertain].sum()
    free = np.ones(len(candidates), bool)
    chosen: list[SuggestedRegion] = []
    while free.any() and len(chosen) < most:
        # The sum of shares exceeds 1 by rounding errors of floating-point numbers.
        scores = np.minimum(np.maximum(similarity - _DISCOUNT * covered, 0) @ share, 1.0)
        best = int(np.where(free, scores.round(_DIGITS), -1.0).argmax())
        box, number = boxes[candidates[best]], slice_number[candidates[best]]
        rows, columns = (int(box[0]), int(box[1])), (int(box[2]), int(box[3]))
        index = slices[int(number)].index
        unsure = float(uncertainty[candidates[best]])
        chosen.append(SuggestedRegion(index, rows, columns, float(scores[best]), unsure))
        free &= (slice_number[candidates] != number) | ~_overlapping(boxes[candidates], box)
        covered = np.maximum(covered, similarity[best])
    return chosen


def _most_uncertain(uncertainty: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the positions of regions that may be suggested, the most uncertain ones first."""
    allowed = np.flatnonzero((uncertainty > 0) & (uncertainty >= _LEAST * uncertainty.max()))
    return allowed[np.argsort(-uncertainty[allowed], kind="stable")][:_MOST]


def best_slices(regions: Sequence[SuggestedRegion]) -> list[Index]:
    """Return the indices of slices with suggested regions, the highest total score first."""
    total: dict[Index, float] = {}
    for region in regions:
        total[region.index] = total.get(region.index, 0.0) + region.score
    return sorted(total, key=lambda index: -total[index])


def grouped_by_slice(regions: Sequence[SuggestedRegion]) -> list[SuggestedRegion]:
    """Return regions slice by slice, so that stepping through them does not jump between slices.

    Slices are in the order of `best_slices`, the regions of a slice in that of their score.
    """
    rank = {index: n for n, index in enumerate(best_slices(regions))}
    return sorted(regions, key=lambda region: (rank[region.index], -region.score))


def evenly_spaced(count: int, most: int) -> list[int]:
    """Return at most `most` of the positions 0 … `count` - 1, evenly spaced, including the ends.

    Raises
    ------
    ValueError
        If `most` is below 1.
    """
    if most < 1:
        raise ValueError(f"{most} positions; there must be at least 1.")
    if count <= most:
        return list(range(count))
    if most == 1:
        return [count // 2]
    return [round(n * (count - 1) / (most - 1)) for n in range(most)]


def _standardize(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return features scaled so that the typical distance of two regions is about 1."""
    spread = features.std(0)
    scaled = np.where(spread > 1e-9, (features - features.mean(0)) / np.maximum(spread, 1e-9), 0.0)
    result: NDArray[np.float64] = scaled / np.sqrt(max(2 * features.shape[1], 1))
    return result


def _distance_to_nearest(
    features: NDArray[np.float64], others: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the distance of each region to the nearest of the others; infinity without others."""
    if not len(others):
        return np.full(len(features), np.inf)
    if not features.shape[1]:
        return np.zeros(len(features))
    nearest: NDArray[np.float64] = KDTree(others).query(features)[0]
    return nearest


def _similarity(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a similarity of 1 at distance 0, about 0.1 at the typical distance 1."""
    similarity: NDArray[np.float64] = np.exp(-2 * distance**2)
    return similarity


def _overlapping(boxes: NDArray[np.int64], box: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which boxes share pixels with a box."""
    overlapping: NDArray[np.bool_] = (boxes[:, 0] < box[1]) & (boxes[:, 1] > box[0])
    overlapping &= (boxes[:, 2] < box[3]) & (boxes[:, 3] > box[2])
    return overlapping
