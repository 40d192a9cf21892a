"""Scores of predictions by class: overlap of pixels and Hausdorff distance."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isnan, nan
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.annotation.mask_values import mask_target
from napari_emcad.io.images.pixel_size import PIXEL
from napari_emcad.training.metrics import (
    Scores,
    check_shapes,
    hausdorff95,
    mean_score,
    score,
    sum_scores,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

METRICS = ("dice", "iou", "precision", "recall")
"""Properties of `Scores` that are reported."""

DISTANCE_AXES = "ZYX"
"""Axes along which distances are measured; positions along others (time) are compared in pairs."""


@dataclass(frozen=True, slots=True)
class ImageScore:
    """The scores of one image by class, numbered from 1.

    Attributes
    ----------
    name
        Name of the image file.
    by_class
        Pixel counts, with their metrics.
    hd95
        95th percentile of the Hausdorff distance in `unit`, see
        `napari_emcad.training.metrics.hausdorff95`; NaN if truth or prediction are empty.
    unit
        Unit of length; ``"pixel"`` if the pixel size is not known along all axes.
    """

    name: str
    by_class: Mapping[int, Scores]
    hd95: Mapping[int, float] = field(default_factory=dict)
    unit: str = PIXEL

    def mean(self, metric: str) -> float:
        """Return the mean of one of `METRICS` over the classes that occur; see `mean_score`."""
        return mean_score([self.by_class], metric)

    @property
    def counts(self) -> bool:
        """Whether a class occurs in truth or prediction, so that the image counts in means."""
        return any(scores.occurs for scores in self.by_class.values())

    @property
    def mean_hd95(self) -> float:
        """Mean distance over the classes for which it is defined; NaN if there is none."""
        return mean_of_defined(self.hd95.values())[0]


def class_scores(predicted: NDArray[Any], truth: NDArray[Any], classes: int) -> dict[int, Scores]:
    """Return the scores of every class by its number, from 1.

    Parameters
    ----------
    predicted
        Class labels.
    truth
        Class labels of the same shape; with one class all values above 0 are the object. Values
        below 0, and 255 beside other values, are ignored.
    classes
        Number of classes without the background.

    Raises
    ------
    ValueError
        If the shapes differ, or the truth has a value that is not a class.
    """
    predicted, truth = predicted_classes(predicted, classes), true_classes(truth, classes)
    return overlap_by_class(predicted, truth, classes)


def overlap_by_class(
    predicted: NDArray[Any], truth: NDArray[Any], classes: int
) -> dict[int, Scores]:
    """Return the scores of every class; see `predicted_classes` and `true_classes`."""
    check_shapes(predicted, truth)
    known = truth != UNLABELED
    return {k: score((predicted == k) & known, truth == k) for k in range(1, classes + 1)}


def class_hd95(
    predicted: NDArray[Any],
    truth: NDArray[Any],
    classes: int,
    axes: str,
    scale: Mapping[str, float],
) -> dict[int, float]:
    """Return the Hausdorff distance (95th percentile) of every class by its number, from 1.

    Parameters
    ----------
    predicted, truth
        Class labels of the same shape, as in `class_scores`.
    classes
        Number of classes without the background.
    axes
        One letter per axis. Distances are measured along Z, Y and X; the positions along other
        axes (time) are compared one by one, and their defined distances averaged.
    scale
        Pixel size by axis; 1 for missing axes.

    Returns
    -------
    dict
        NaN for classes that are empty in prediction or truth.
    """
    others = [axis for axis, letter in enumerate(axes) if letter not in DISTANCE_AXES]
    spacing = [scale.get(letter, 1.0) for letter in axes if letter in DISTANCE_AXES]
    first = range(len(others))
    check_shapes(predicted, truth)
    truth = true_classes(truth, classes)
    predicted = np.where(truth == UNLABELED, 0, predicted_classes(predicted, classes))
    predicted, truth = np.moveaxis(predicted, others, first), np.moveaxis(truth, others, first)
    positions = list(np.ndindex(predicted.shape[: len(others)]))
    distances = {
        k: [_distance(predicted[at] == k, truth[at] == k, spacing) for at in positions]
        for k in range(1, classes + 1)
    }
    return {k: mean_of_defined(values)[0] for k, values in distances.items()}


def _distance(
    predicted: NDArray[np.bool_], truth: NDArray[np.bool_], spacing: Sequence[float]
) -> float:
    if not predicted.any() and not truth.any():
        return nan
    return hausdorff95(predicted, truth, spacing)


def mean_over_images(scores: Iterable[ImageScore], metric: str) -> float:
    """Return the mean over images of one of `METRICS`, see `mean_score`."""
    return mean_score((image.by_class for image in scores), metric)


def mean_of_defined(distances: Iterable[float]) -> tuple[float, int]:
    """Return the mean of the distances that are not NaN (NaN without any), and their number."""
    defined = [distance for distance in distances if not isnan(distance)]
    return (fmean(defined) if defined else nan), len(defined)


def pool_scores(scores: Iterable[ImageScore]) -> dict[int, Scores]:
    """Return the scores of every class, from the pixels of all images together."""
    images = list(scores)
    return {k: sum_scores(image.by_class[k] for image in images) for k in images[0].by_class}


def format_distance(distance: float, unit: str) -> str:
    """Return a distance with its unit as a text, or "undefined"."""
    if isnan(distance):
        return "undefined"
    number = f"{distance:.3g}" if 0 < distance < 1 else f"{distance:.2f}"
    return f"{number} {'px' if unit == PIXEL else unit}"


def predicted_classes(labels: NDArray[Any], classes: int) -> NDArray[Any]:
    """Return a segmentation whose values are classes: with one class, all objects become 1."""
    return np.asarray(labels != 0, np.uint8) if classes == 1 else labels


def true_classes(labels: NDArray[Any], classes: int, void: bool = False) -> NDArray[np.int16]:
    """Return the labels of a file as classes, `UNLABELED` where they are ignored.

    With one class, all values above 0 become 1; see `mask_target`, also for `void`.

    Raises
    ------
    ValueError
        If a value is not a class.
    """
    target = mask_target(labels, classes, classes == 1, void)
    largest = int(target.max(initial=0))
    if largest > classes:
        raise ValueError(
            f"the labels contain the value {largest}; the network has classes 1 to {classes}."
        )
    return target.astype(np.int16)
