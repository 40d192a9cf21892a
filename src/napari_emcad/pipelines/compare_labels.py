"""Compare predicted labels with the truth: by class, slice by slice, and pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.imaging.label_axes import label_axes
from napari_emcad.inference.events import Progress
from napari_emcad.inference.jobs import run_job
from napari_emcad.io.images.pixel_size import PIXEL
from napari_emcad.pipelines.scores import (
    ImageScore,
    class_hd95,
    overlap_by_class,
    predicted_classes,
    true_classes,
)
from napari_emcad.training.metrics import check_shapes

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Mapping

    from numpy.typing import NDArray

MISSED, EXTRA, OTHER_CLASS = 1, 2, 3
"""Values of `LabelComparison.errors`."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelComparison:
    """Scores of predicted labels.

    Attributes
    ----------
    total
        Scores of all slices together; distances along Z, Y and X.
    by_slice
        Scores of single slices; distances within the slice. Empty for a single slice.
    positions
        Index of every slice along the axes other than Y and X.
    errors
        ``uint8`` of the labels' shape: 0 where they agree or the truth is ignored, `MISSED` where
        the prediction has the background, `EXTRA` where the truth has it, `OTHER_CLASS` where both
        have different classes.
    """

    total: ImageScore
    by_slice: tuple[ImageScore, ...]
    positions: tuple[tuple[int, ...], ...]
    errors: NDArray[np.uint8]

    @property
    def worst(self) -> int | None:
        """Number of the slice with the lowest mean Dice; None if no slice has an object."""
        counting = [n for n, score in enumerate(self.by_slice) if score.counts]
        return min(counting, key=lambda n: self.by_slice[n].mean("dice"), default=None)


def compare_labels(
    predicted: Any,
    truth: Any,
    classes: int = 1,
    axes: str | None = None,
    *,
    scale: Mapping[str, float] | None = None,
    unit: str = PIXEL,
) -> LabelComparison:
    """Compare predicted labels with the truth.

    Parameters
    ----------
    predicted, truth
        Integer arrays of one shape. With one class all values above 0 are the object; with several
        the values are the classes. Values of the truth below 0, and 255 beside other values
        ("void"), are ignored.
    classes
        Number of classes without the background.
    axes
        A letter per axis; None for YX, ZYX or TZYX.
    scale
        Size of a pixel by axis letter, in `unit`; None is 1 for all axes.
    unit
        Unit of length.

    Raises
    ------
    ValueError
        If shapes differ, a value is not a class, or axes do not fit.

    Examples
    --------
    >>> comparison = napari_emcad.compare_labels(result.labels, truth)  # doctest: +SKIP
    >>> comparison.total.mean("dice"), comparison.worst  # doctest: +SKIP
    """
    return run_job(compare_job(predicted, truth, classes, axes, scale, unit))


def compare_job(
    predicted: Any,
    truth: Any,
    classes: int,
    axes: str | None,
    scale: Mapping[str, float] | None,
    unit: str,
    stop: threading.Event | None = None,
) -> Generator[Progress, None, LabelComparison]:
    """Run `compare_labels` as a job, slice by slice; a job that is stopped has fewer slices."""
    given, letters = np.asarray(predicted), label_axes(np.asarray(predicted), axes)
    check_shapes(given, np.asarray(truth))
    target, sizes = true_classes(np.asarray(truth), classes), dict(scale or {})
    labels = predicted_classes(given, classes)
    overlap = overlap_by_class(labels, target, classes)
    total = ImageScore("", overlap, class_hd95(labels, target, classes, letters, sizes), unit)
    stacked = [n for n, letter in enumerate(letters) if letter not in "YX"]
    plane = "".join(letter for letter in letters if letter in "YX")
    positions = list(np.ndindex(*(given.shape[axis] for axis in stacked))) if stacked else []
    scores: list[ImageScore] = []
    for position in positions:
        if stop is not None and stop.is_set():
            break
        where: list[int | slice] = [slice(None)] * given.ndim
        for axis, index in zip(stacked, position, strict=True):
            where[axis] = index
        one, other = labels[tuple(where)], target[tuple(where)]
        distances = class_hd95(one, other, classes, plane, sizes)
        scores.append(ImageScore("", overlap_by_class(one, other, classes), distances, unit))
        yield Progress(len(scores), len(positions))
    done = tuple(positions[: len(scores)])
    return LabelComparison(total, tuple(scores), done, _errors(labels, target))


def _errors(predicted: NDArray[Any], truth: NDArray[np.int16]) -> NDArray[np.uint8]:
    wrong = (predicted != truth) & (truth != UNLABELED)
    errors = np.zeros(truth.shape, np.uint8)
    errors[wrong] = OTHER_CLASS
    errors[wrong & (predicted == 0)] = MISSED
    errors[wrong & (truth == 0)] = EXTRA
    return errors
