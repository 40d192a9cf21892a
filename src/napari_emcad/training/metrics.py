"""Scores of a segmentation against the truth: overlap of pixels and distance of surfaces."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Scores:
    """Agreement of two masks, from their pixel counts.

    Attributes
    ----------
    true_positive, false_positive, false_negative
        Number of pixels in both, in the prediction alone, in the truth alone.
    """

    true_positive: int
    false_positive: int
    false_negative: int

    @property
    def occurs(self) -> bool:
        """Whether truth or prediction have a pixel of the mask."""
        return self.true_positive + self.false_positive + self.false_negative > 0

    @property
    def dice(self) -> float:
        """2 TP / (2 TP + FP + FN), the F1 of pixels; 1 if both masks are empty."""
        return _ratio(
            2 * self.true_positive,
            2 * self.true_positive + self.false_positive + self.false_negative,
        )

    @property
    def iou(self) -> float:
        """TP / (TP + FP + FN), intersection over union; 1 if both masks are empty."""
        return _ratio(
            self.true_positive, self.true_positive + self.false_positive + self.false_negative
        )

    @property
    def precision(self) -> float:
        """TP / (TP + FP); 1 if both masks are empty, 0 if only the prediction is."""
        if not self.true_positive + self.false_positive:
            return float(not self.false_negative)
        return _ratio(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall(self) -> float:
        """TP / (TP + FN); 1 if the truth is empty."""
        return _ratio(self.true_positive, self.true_positive + self.false_negative)


def mean_score(images: Iterable[Mapping[int, Scores]], metric: str) -> float:
    """Return the mean of a metric over images, of each the mean over its classes.

    This is the Dice by which an epoch is chosen, of held-out pixels, and of an evaluation. A class
    that an image has neither in truth nor in prediction does not count there: it says nothing.

    Parameters
    ----------
    images
        Scores by class of every image or volume, of all of its slices together.
    metric
        Name of a property of `Scores`.

    Returns
    -------
    float
        1 if no class occurs anywhere, as truth and prediction agree; 0 without images.
    """
    listed = list(images)
    occurring = [[one for one in by_class.values() if one.occurs] for by_class in listed]
    means = [fmean(getattr(one, metric) for one in scores) for scores in occurring if scores]
    return fmean(means) if means else float(bool(listed))


def sum_scores(scores: Iterable[Scores]) -> Scores:
    """Return the scores of the pixels of several masks together."""
    listed = list(scores)
    return Scores(
        sum(one.true_positive for one in listed),
        sum(one.false_positive for one in listed),
        sum(one.false_negative for one in listed),
    )


def score(predicted: NDArray[Any], truth: NDArray[Any]) -> Scores:
    """Return the scores of one mask against another.

    Parameters
    ----------
    predicted, truth
        Arrays of one shape; nonzero pixels are the object.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    check_shapes(predicted, truth)
    predicted, truth = predicted != 0, truth != 0
    both = int(np.count_nonzero(predicted & truth))
    extra, missed = np.count_nonzero(predicted) - both, np.count_nonzero(truth) - both
    return Scores(both, int(extra), int(missed))


def hausdorff95(
    predicted: NDArray[Any], truth: NDArray[Any], spacing: Sequence[float] | None = None
) -> float:
    """Return the 95th percentile of the Hausdorff distance between the surfaces of two masks.

    The surface of a mask is what an erosion removes: its pixels that have a neighbor outside along
    an axis, those at the edge of the array included. The distances from the surface pixels of one
    mask to the nearest of the other are taken from pixel center to pixel center; of these the 95th
    percentile (interpolated linearly); of both directions the larger. MONAI computes the same.

    Parameters
    ----------
    predicted, truth
        Arrays of one shape, of any rank; nonzero pixels are the object. Axes of length 1 do not
        count: a stack of one slice is flat.
    spacing
        Sizes of a pixel along the axes, in the unit of the result; None measures in pixels.

    Returns
    -------
    float
        0 if both masks are empty; NaN if only one is, as there is no distance to nothing.

    Raises
    ------
    ValueError
        If the shapes differ, or the spacing is not one positive number per axis.
    """
    distances = _surface_distances(predicted, truth, spacing)
    if isinstance(distances, float):
        return distances
    return max(float(np.percentile(directed, 95)) for directed in distances)


def hausdorff95_pooled(
    predicted: NDArray[Any], truth: NDArray[Any], spacing: Sequence[float] | None = None
) -> float:
    """Return the 95th percentile of the distances of both directions together.

    This is the HD95 of medpy, which the papers on Synapse and ACDC report; it is never above
    `hausdorff95`, whose parameters, undefined values and errors it has.
    """
    distances = _surface_distances(predicted, truth, spacing)
    if isinstance(distances, float):
        return distances
    return float(np.percentile(np.concatenate(distances), 95))


def _surface_distances(
    predicted: NDArray[Any], truth: NDArray[Any], spacing: Sequence[float] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | float:
    """Return the distances from either surface to the other, or the result without any."""
    check_shapes(predicted, truth)
    steps = _steps(spacing, predicted.ndim)
    predicted, truth = predicted != 0, truth != 0
    if not (predicted.any() and truth.any()):
        return nan if predicted.any() or truth.any() else 0.0
    flat = tuple(axis for axis, size in enumerate(truth.shape) if size == 1)
    steps = np.delete(steps, flat)
    if not steps.size:
        return 0.0
    either = np.squeeze(predicted | truth, flat)
    (box,) = ndimage.find_objects(either.astype(np.uint8))
    one, other = (_surface(np.squeeze(mask, flat)[box]) for mask in (predicted, truth))
    return _directed(one, other, steps), _directed(other, one, steps)


def _surface(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    surface: NDArray[np.bool_] = mask & ~ndimage.binary_erosion(mask)
    return surface


def _directed(
    start: NDArray[np.bool_], end: NDArray[np.bool_], steps: NDArray[np.float64]
) -> NDArray[np.float64]:
    distances: NDArray[np.float64] = ndimage.distance_transform_edt(~end, sampling=steps)[start]
    return distances


def _steps(spacing: Sequence[float] | None, rank: int) -> NDArray[np.float64]:
    steps = np.ones(rank) if spacing is None else np.asarray(spacing, np.float64)
    if steps.shape != (rank,) or not (np.isfinite(steps) & (steps > 0)).all():
        raise ValueError(f"spacing must be {rank} positive numbers, one per axis, not {spacing!r}.")
    return steps


def check_shapes(predicted: NDArray[Any], truth: NDArray[Any]) -> None:
    """Refuse arrays of different shapes.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"The shapes differ: predicted {predicted.shape}, truth {truth.shape}.")


def _ratio(part: int, total: int) -> float:
    return part / total if total else 1.0
