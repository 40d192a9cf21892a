"""How well a checkpoint does on images whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isnan, nan
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.annotation.detect_rule import MaskValues, mask_values
from napari_emcad.annotation.label_rules import BACKGROUND, mask_255_to_1, refuse_negative
from napari_emcad.io.images.labels import read_labels
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.images.pixel_size import PIXEL
from napari_emcad.io.images.read import read_image
from napari_emcad.io.reports.evaluation_sheet import make_sheet_row
from napari_emcad.pipelines.segment import segment, slices_for
from napari_emcad.training.metrics import Scores, hausdorff95, score, sum_scores

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.imaging.slices import Slices
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.io.reports.evaluation_sheet import SheetRow

    Ranked = tuple[float, SheetRow]

METRICS = ("dice", "iou", "precision", "recall")
"""The figures of a `Scores` that are reported."""

_NO_PARTS = MaskValues((), 0)

_SPACE = "ZYX"
"""Axes along which there is a distance; others (time, …) are compared position by position."""


@dataclass(frozen=True, slots=True)
class ImageScore:
    """The scores of one image by its classes, counted from 1.

    Attributes
    ----------
    name
        Of the image file.
    by_class
        Pixel counts and what follows from them.
    hd95
        The 95th percentile of the Hausdorff distance in `unit`, see
        `napari_emcad.training.metrics.hausdorff95`; NaN where truth or prediction are empty.
    unit
        Of length; ``"pixel"`` where the size of a pixel is not known along every axis.
    """

    name: str
    by_class: Mapping[int, Scores]
    hd95: Mapping[int, float] = field(default_factory=dict)
    unit: str = PIXEL

    def mean(self, metric: str) -> float:
        """Return one of `METRICS` averaged over the classes."""
        return fmean(getattr(each, metric) for each in self.by_class.values())

    @property
    def mean_hd95(self) -> float:
        """The distance averaged over those classes where it is defined; NaN if there is none."""
        return mean_of_defined(self.hd95.values())[0]


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """An image with its truth, what was predicted, and the score.

    Attributes
    ----------
    score
        Of the prediction.
    slices
        The image.
    predicted, truth
        Class labels of the image's spatial shape.
    parts
        What the label file consists of; with several classes nothing is said of it.
    """

    score: ImageScore
    slices: Slices
    predicted: NDArray[Any]
    truth: NDArray[Any]
    mask_values: MaskValues = _NO_PARTS


def evaluate(
    pairs: Iterable[tuple[Path, Path]],
    checkpoint: Checkpoint,
    axes: str | None = None,
    **options: Any,
) -> Iterator[ImageScore]:
    """Segment images and score each against its label file, one after another; see `compare`."""
    for case in compare(pairs, checkpoint, axes, **options):
        yield case.score


def compare(
    pairs: Iterable[tuple[Path, Path]],
    checkpoint: Checkpoint,
    axes: str | None = None,
    scale: Mapping[str, float] | None = None,
    unit: str = PIXEL,
    **options: Any,
) -> Iterator[Case]:
    """Segment images and compare each with its label file, one after another.

    Parameters
    ----------
    pairs
        Image and label files, see `napari_emcad.io.images.read.pair_files`.
    checkpoint
        What to evaluate. For a binary network everything above 0 is the truth, so that instance
        labels do; for several classes the values are the classes (a 0/255 mask is class 1).
    axes
        A letter per axis, where the files do not say it rightly.
    scale
        Size of a pixel along Y and X, for stacks also Z, by letter; None takes it from each image
        file, and counts pixels where the file does not say it for each of these axes.
    unit
        Of `scale`.
    **options
        Of `napari_emcad.segment`.

    Raises
    ------
    ImageFileError
        If a file cannot be read.
    ValueError
        If a label file does not fit its image or the classes, `scale` lacks an axis, or an image
        cannot be segmented; the message names the file.
    """
    classes = len(checkpoint.classes)
    for image, labels in pairs:
        opened = read_image(image)
        known, its_unit = (opened.scale, opened.unit) if scale is None else (scale, unit)
        try:
            slices = slices_for(
                opened.pixels, checkpoint, axes or opened.axes, options.get("channels")
            )
            if scale is not None:
                _check_scale(scale, slices)
            truth = read_labels(labels, slices.spatial_shape)
            predicted = segment(opened.pixels, checkpoint, slices.axes, **options).labels
            truth = _like(truth, predicted.shape)
            said = mask_values(truth) if classes == 1 else _NO_PARTS
            predicted, truth = _as_classes(predicted, classes), _as_classes(truth, classes)
            scores = _scores(predicted, truth, classes)
        except ImageFileError:
            raise
        except (ValueError, TypeError) as error:
            raise ValueError(f"{image.name}: {error}") from None
        if _missing(known, slices):
            known, its_unit = {}, PIXEL
        distances = class_hd95(predicted, truth, classes, slices.spatial_axes, known)
        scored = ImageScore(image.name, scores, distances, its_unit)
        yield Case(scored, slices, predicted, truth, said)


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
    return _scores(_as_classes(predicted, classes), _as_classes(truth, classes), classes)


def class_hd95(
    predicted: NDArray[Any],
    truth: NDArray[Any],
    classes: int,
    axes: str,
    scale: Mapping[str, float],
) -> dict[int, float]:
    """Return the Hausdorff distance (95th percentile) of each class by its number.

    Parameters
    ----------
    predicted, truth
        Class labels of one shape.
    classes
        How many, without the background.
    axes
        A letter per axis. Distances run along Z, Y and X; of other axes (time, …) every position
        has a distance of its own, and the mean of those that are defined counts.
    scale
        Size of a pixel by axis; 1 for those that are not in there.

    Returns
    -------
    dict
        NaN for a class that not both of them have: there is no distance to nothing, and agreement
        about nothing is none either.
    """
    apart = [axis for axis, letter in enumerate(axes) if letter not in _SPACE]
    steps = [scale.get(letter, 1.0) for letter in axes if letter in _SPACE]
    found, wanted = (np.moveaxis(each, apart, range(len(apart))) for each in (predicted, truth))
    positions = list(np.ndindex(found.shape[: len(apart)]))
    distances = {
        k: [_distance(found[at] == k, wanted[at] == k, steps) for at in positions]
        for k in range(1, classes + 1)
    }
    return {k: mean_of_defined(each)[0] for k, each in distances.items()}


def _distance(found: NDArray[np.bool_], wanted: NDArray[np.bool_], steps: Sequence[float]) -> float:
    return hausdorff95(found, wanted, steps) if found.any() or wanted.any() else nan


def mean_over_images(scores: Iterable[ImageScore], metric: str) -> float:
    """Return the mean over images of a metric, each image averaged over its classes."""
    return fmean(each.mean(metric) for each in scores)


def mean_of_defined(distances: Iterable[float]) -> tuple[float, int]:
    """Return the mean of the distances that are defined (NaN without any), and their number."""
    defined = [each for each in distances if not isnan(each)]
    return (fmean(defined) if defined else nan), len(defined)


def pool_scores(scores: Iterable[ImageScore]) -> dict[int, Scores]:
    """Return the scores of each class with the pixels of all images counted together."""
    listed = list(scores)
    return {k: sum_scores(each.by_class[k] for each in listed) for k in listed[0].by_class}


def keep_worst(kept: Sequence[Ranked], case: Case, number: int) -> Sequence[Ranked]:
    """Return the cases with the lowest Dice so far, worst first, ready to be shown.

    Parameters
    ----------
    kept
        What this returned before; empty at first.
    case
        The next one; only a picture of it is kept, so that `number` bounds the memory.
    number
        How many are kept.
    """
    dice = case.score.mean("dice")
    if len(kept) == number and dice >= kept[-1][0]:
        return kept
    ranked = sorted([*kept, (dice, as_sheet_row(case))], key=lambda each: each[0])
    return ranked[:number]


def as_sheet_row(case: Case) -> SheetRow:
    """Return a case as a row of a sheet: the slice with the most wrong pixels, and its scores."""
    axes = case.slices.spatial_axes
    plane = axes.index("Y"), axes.index("X")
    predicted, truth = (np.moveaxis(each, plane, (-2, -1)) for each in (case.predicted, case.truth))
    wrong = np.count_nonzero(predicted != truth, axis=(-2, -1))
    at = tuple(int(each) for each in np.unravel_index(np.argmax(wrong), wrong.shape))
    stacked = axes.replace("Y", "").replace("X", "")
    where = "".join(f", {axis} = {position}" for axis, position in zip(stacked, at, strict=True))
    planes = case.slices.read(at)
    figures = "     ".join(
        (
            f"Dice {case.score.mean('dice'):.3f}",
            f"IoU {case.score.mean('iou'):.3f}",
            f"HD95 {format_distance(case.score.mean_hd95, case.score.unit)}",
        )
    )
    return make_sheet_row(case.score.name + where, figures, planes, truth[at], predicted[at])


def format_distance(distance: float, unit: str) -> str:
    """Return a distance with its unit in words."""
    if isnan(distance):
        return "undefined"
    number = f"{distance:.3g}" if 0 < distance < 1 else f"{distance:.2f}"
    return f"{number} {'px' if unit == PIXEL else unit}"


def _scores(predicted: NDArray[Any], truth: NDArray[Any], classes: int) -> dict[int, Scores]:
    return {k: score(predicted == k, truth == k) for k in range(1, classes + 1)}


def _as_classes(labels: NDArray[Any], classes: int) -> NDArray[Any]:
    """Return labels as classes: of one class all but 0, and of a 0/255 mask 255, are class 1.

    Raises
    ------
    ValueError
        If a value is no class.
    """
    if classes == 1:
        refuse_negative(labels)
        return np.asarray(labels != 0, np.uint8)
    labels = mask_255_to_1(labels) if classes < BACKGROUND else labels
    strange = [value for value in np.unique(labels).tolist() if not 0 <= value <= classes]
    if strange:
        value = max(strange, key=abs)
        raise ValueError(
            f"the labels hold the value {value}; the network knows classes 1 to {classes}."
        )
    return labels


def _like(truth: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return a truth of this shape if it has it but for axes of one entry; files drop those."""
    same = [each for each in truth.shape if each > 1] == [each for each in shape if each > 1]
    return truth.reshape(shape) if same else truth


def _missing(scale: Mapping[str, float], slices: Slices) -> list[str]:
    """Return the axes along which distances run without a size; one entry needs none."""
    sizes = zip(slices.spatial_axes, slices.spatial_shape, strict=True)
    return [axis for axis, size in sizes if axis in _SPACE and size > 1 and axis not in scale]


def _check_scale(scale: Mapping[str, float], slices: Slices) -> None:
    missing = _missing(scale, slices)
    if missing:
        raise ValueError(
            f"the size of a pixel is given along {', '.join(scale)}; it is needed along "
            f"{', '.join(missing)} as well."
        )
