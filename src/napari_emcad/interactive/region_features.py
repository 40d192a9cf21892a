"""Candidate regions of a slice: uncertainty, features, and whether they are annotated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_emcad.annotation.label_rules import UNLABELED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_emcad.imaging.slices import Index

UNCERTAIN = 0.25
"""Entropy from which a pixel is uncertain; a binary probability of 4 % or 96 % has it."""

_DIGITS = 9
"""Decimals to which scores are rounded, so that equal regions come in reading order."""

_STEPS = 4
"""Regions are tried at every quarter of their side."""


@dataclass(frozen=True, slots=True, eq=False)
class UncertainSlice:
    """Uncertainty, annotations and features of a slice.

    Attributes
    ----------
    index
        Index along the stacked axes.
    uncertainty
        Entropy or disagreement, 0 … 1, of the slice's shape or coarser.
    target
        ``(H, W)``: annotated classes, `UNLABELED` elsewhere.
    features
        ``(h, w)`` planes by which regions are compared: intensities and features of the network,
        of any resolution. Without planes all regions count as similar.
    """

    index: Index
    uncertainty: NDArray[np.floating]
    target: NDArray[np.integer]
    features: Sequence[NDArray[np.floating]] | NDArray[np.floating] = ()


@dataclass(frozen=True, slots=True, eq=False)
class SliceRegions:
    """Candidate regions of one slice.

    Attributes
    ----------
    index
        Index of the slice.
    boxes
        ``(n, 4)``: first row, end row, first column, end column.
    uncertainty
        ``(n,)``: mean uncertainty times the share of uncertain pixels.
    features
        ``(n, f)``: mean and standard deviation of the feature planes.
    annotated
        ``(n,)`` bool: whether any pixel is annotated.
    """

    index: Index
    boxes: NDArray[np.int64]
    uncertainty: NDArray[np.float64]
    features: NDArray[np.float64]
    annotated: NDArray[np.bool_]


def regions_of(uncertain: UncertainSlice, size: int) -> SliceRegions:
    """Return the candidate regions of a slice.

    Parameters
    ----------
    uncertain
        The slice.
    size
        Side of a region in pixels; a shorter side of the slice limits it.
    """
    height, width = uncertain.target.shape
    starts = [_starts(side, size) for side in (height, width)]
    sides = min(size, height), min(size, width)
    tops, lefts = (grid.ravel() for grid in np.meshgrid(*starts, indexing="ij"))
    boxes = np.stack([tops, tops + sides[0], lefts, lefts + sides[1]], axis=1)
    entropy = _enlarged(np.nan_to_num(uncertain.uncertainty, nan=0.0), (height, width))
    uncertainty = _means(entropy, boxes) * _means(entropy >= UNCERTAIN, boxes)
    annotated_pixels = _means(uncertain.target != UNLABELED, boxes) * sides[0] * sides[1]
    columns = []
    for plane in uncertain.features:
        enlarged = _enlarged(plane, (height, width))
        mean = _means(enlarged, boxes)
        columns += [mean, np.sqrt(np.maximum(_means(enlarged**2, boxes) - mean**2, 0))]
    features = np.stack(columns, axis=1) if columns else np.zeros((len(boxes), 0))
    return SliceRegions(
        uncertain.index, boxes, uncertainty.round(_DIGITS), features, annotated_pixels > 0.5
    )


def _starts(side: int, size: int) -> NDArray[np.int64]:
    """Return the first pixels of regions along a side; the last region ends with the side."""
    last = max(side - size, 0)
    return np.unique([*range(0, last, max(size // _STEPS, 1)), last])


def _enlarged(plane: NDArray[np.generic], shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return a plane of another shape by nearest-neighbor interpolation."""
    rows, columns = (
        np.arange(size) * coarse // size for size, coarse in zip(shape, plane.shape, strict=True)
    )
    enlarged: NDArray[np.float64] = np.asarray(plane, np.float64)[rows[:, None], columns[None]]
    return enlarged


def _means(plane: NDArray[np.generic], boxes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean of a plane in each box, from an integral image."""
    integral = np.zeros((plane.shape[0] + 1, plane.shape[1] + 1))
    integral[1:, 1:] = np.asarray(plane, np.float64).cumsum(0).cumsum(1)
    top, bottom, left, right = boxes.T
    corners = integral[bottom, right], integral[top, right], integral[bottom, left]
    total = corners[0] - corners[1] - corners[2] + integral[top, left]
    means: NDArray[np.float64] = total / ((bottom - top) * (right - left))
    return means
