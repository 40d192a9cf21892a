"""Floor 4: how well a checkpoint does on images whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass, fields
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.images import read_image, read_labels
from napari_emcad.jobs import segment
from napari_emcad.training.metrics import Scores, score

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.io.checkpoint import Checkpoint

METRICS = ("dice", "iou", "precision", "recall")
"""The figures of a `Scores` that are reported."""


@dataclass(frozen=True, slots=True)
class ImageScore:
    """The scores of one image by its classes, counted from 1."""

    name: str
    by_class: Mapping[int, Scores]

    def mean(self, metric: str) -> float:
        """Return a metric averaged over the classes."""
        return fmean(getattr(each, metric) for each in self.by_class.values())


def evaluate(
    pairs: Iterable[tuple[Path, Path]],
    checkpoint: Checkpoint,
    axes: str | None = None,
    **options: Any,
) -> Iterator[ImageScore]:
    """Segment images and score each against its label file, one after another.

    Parameters
    ----------
    pairs
        Image and label files, see `napari_emcad.io.images.paired`.
    checkpoint
        What to evaluate. For a binary network everything above 0 is the truth, so that instance
        labels do; for several classes the values are the classes (a 0/255 mask is class 1).
    axes
        A letter per axis, where the files do not say it rightly.
    **options
        Of `napari_emcad.segment`.

    Raises
    ------
    ImageFileError
        If a file cannot be read.
    ValueError
        If a label file does not fit its image or the classes, or an image cannot be segmented;
        the message names the file.
    """
    for image, labels in pairs:
        opened, truth = read_image(image), read_labels(labels)
        try:
            predicted = segment(opened.pixels, checkpoint, axes or opened.axes, **options).labels
            scores = class_scores(predicted, truth, len(checkpoint.classes))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{image.name}: {error}") from None
        yield ImageScore(image.name, scores)


def class_scores(predicted: NDArray[Any], truth: NDArray[Any], classes: int) -> dict[int, Scores]:
    """Return the scores of each class by its number, counted from 1.

    Parameters
    ----------
    predicted
        Class labels.
    truth
        Of the same shape; with one class all but 0 is the object.
    classes
        How many, without the background.

    Raises
    ------
    ValueError
        If the shapes differ, or the truth holds a value that is no class.
    """
    if classes == 1:
        return {1: score(predicted, truth)}
    values = np.unique(truth)
    if set(values.tolist()) <= {0, 255} and classes < 255:
        truth = truth != 0
    else:
        strange = [value for value in values.tolist() if not 0 <= value <= classes]
        if strange:
            value = max(strange, key=abs)
            raise ValueError(
                f"the labels hold the value {value}; the network knows classes 1 to {classes}."
            )
    return {k: score(predicted == k, truth == k) for k in range(1, classes + 1)}


def mean_over_images(scores: Iterable[ImageScore], metric: str) -> float:
    """Return the mean over images of a metric, each image averaged over its classes."""
    return fmean(each.mean(metric) for each in scores)


def pooled(scores: Iterable[ImageScore]) -> dict[int, Scores]:
    """Return the scores of each class with the pixels of all images counted together."""
    listed = list(scores)
    names = [each.name for each in fields(Scores)]
    return {
        k: Scores(*(sum(getattr(each.by_class[k], name) for each in listed) for name in names))
        for k in listed[0].by_class
    }
