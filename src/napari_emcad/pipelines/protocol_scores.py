"""The scores that the papers on Synapse, ACDC, polyps, ISIC and BUSI report."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.pipelines.scores import mean_of_defined
from napari_emcad.training.metrics import check_shapes, hausdorff95_pooled, score

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_emcad.pipelines.evaluate import Case
    from napari_emcad.pipelines.protocols import Report

THRESHOLDS = np.arange(256) / 255
"""Thresholds of the sweep: the 256 values of a picture of bytes."""


@dataclass(frozen=True, slots=True, eq=False)
class CaseScores:
    """The scores of one image or volume.

    Attributes
    ----------
    name
        Name of the image.
    by_class
        Scores by class, numbered from 1, and by name of the score; NaN where one is undefined.
    sweep
        Dice and IoU of class 1 at each of `THRESHOLDS`; empty without a sweep.
    is_empty
        Whether the truth has no object of any class.
    presence
        By class whether it is in the truth, and in the prediction.
    """

    name: str
    by_class: Mapping[int, Mapping[str, float]]
    sweep: Mapping[str, NDArray[np.float64]]
    is_empty: bool = False
    presence: Mapping[int, tuple[bool, bool]] = field(default_factory=dict)


def case_scores(case: Case, report: Report) -> CaseScores:
    """Return the scores of a case that a protocol reports.

    Parameters
    ----------
    case
        Image with truth and prediction, for a sweep with probabilities.
    report
        Kind of the scores, see `napari_emcad.pipelines.protocols.Protocol`.

    Raises
    ------
    ValueError
        If a volume is a single slice, or a sweep is of several classes.
    """
    classes = sorted(case.score.by_class)
    empty = not (case.truth > 0).any()
    name = case.score.name
    if report == "volumes":
        if case.truth.ndim < 3:
            raise ValueError(
                f"{name} is a slice, and the protocol scores volumes; evaluate a part of the data "
                f"set with volumes (--split test), or save stacks."
            )
        by_class = {k: volume_scores(case.predicted, case.truth, k) for k in classes}
        known = case.truth != UNLABELED
        presence = {
            k: (bool((case.truth == k).any()), bool(((case.predicted == k) & known).any()))
            for k in classes
        }
        return CaseScores(name, by_class, {}, empty, presence)
    if len(classes) > 1:
        raise ValueError(f"{name}: the protocol is of one class, the checkpoint has several.")
    found = confusion_scores(case.predicted, case.truth)
    kept = {key: found[key] for key in ("dice", "iou")} if report != "confusion" else found
    if report != "sweep" or case.probabilities is None:
        return CaseScores(name, {1: kept}, {}, empty)
    sweep = threshold_sweep(case.probabilities[0], case.truth)
    kept = {**kept, "dice_sweep": sweep["dice"].mean(), "iou_sweep": sweep["iou"].mean()}
    return CaseScores(name, {1: kept}, sweep, empty)


def volume_scores(predicted: NDArray[Any], truth: NDArray[Any], k: int) -> dict[str, float]:
    """Return Dice and HD95 of a class of a volume, of all of its slices together.

    The distance is in voxels, as published, and of medpy's kind (`hausdorff95_pooled`). Both are
    NaN if neither truth nor prediction have the class, the distance also if one of them lacks it.
    Voxels whose truth is `UNLABELED` count in neither.
    """
    check_shapes(predicted, truth)
    found, true = (predicted == k) & (truth != UNLABELED), truth == k
    counts = score(found, true)
    if not counts.occurs:
        return {"dice": nan, "hd95": nan}
    return {"dice": counts.dice, "hd95": hausdorff95_pooled(found, true)}


def confusion_scores(predicted: NDArray[Any], truth: NDArray[Any]) -> dict[str, float]:
    """Return Dice, IoU, sensitivity, specificity and accuracy of class 1 of an image.

    Undefined ones are NaN: Dice and IoU if neither truth nor prediction have an object,
    sensitivity without an object in the truth, specificity without background.
    """
    check_shapes(predicted, truth)
    known = truth != UNLABELED
    counts = score((predicted == 1) & known, truth == 1)
    positive, false = counts.true_positive, counts.false_positive
    negative = int(known.sum()) - positive - false - counts.false_negative
    return {
        "dice": counts.dice if counts.occurs else nan,
        "iou": counts.iou if counts.occurs else nan,
        "sensitivity": _share(positive, positive + counts.false_negative),
        "specificity": _share(negative, negative + false),
        "accuracy": _share(positive + negative, int(known.sum())),
    }


def threshold_sweep(
    probabilities: NDArray[Any], truth: NDArray[Any]
) -> dict[str, NDArray[np.float64]]:
    """Return Dice and IoU of an image at each of `THRESHOLDS`; a pixel at a threshold is above it.

    Parameters
    ----------
    probabilities
        Of class 1, of any shape, 0 … 1.
    truth
        Classes, of the same shape.

    Returns
    -------
    dict
        0 where truth and prediction share no pixel, also if both are empty, as published.
    """
    check_shapes(probabilities, truth)
    known = truth != UNLABELED
    levels = np.searchsorted(THRESHOLDS, probabilities[known].astype(np.float64), side="right")
    is_object = truth[known] == 1
    above = _from_level(levels)
    hits = _from_level(levels[is_object])
    objects = int(is_object.sum())
    both = above + objects
    return {
        "dice": np.divide(2 * hits, both, out=np.zeros(len(hits)), where=hits > 0),
        "iou": np.divide(hits, both - hits, out=np.zeros(len(hits)), where=hits > 0),
    }


def _from_level(levels: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return how many pixels reach each threshold; a level is the number of those reached."""
    counts = np.bincount(levels, minlength=len(THRESHOLDS) + 1)
    reached: NDArray[np.float64] = counts[::-1].cumsum()[::-1][1:].astype(np.float64)
    return reached


def mean_scores(cases: Sequence[CaseScores]) -> dict[str, tuple[float, int]]:
    """Return the mean of each score over the cases that define it, and their number.

    Of a case it is the mean over its classes. Of a sweep, ``dice_max`` and ``iou_max`` are the
    largest values of the curve of mean scores over the thresholds.
    """
    names = list(next(iter(cases[0].by_class.values())))
    means = {name: mean_of_defined([case_mean(case, name) for case in cases]) for name in names}
    swept = [case.sweep for case in cases if case.sweep]
    for name in ("dice", "iou") if swept else ():
        curve = np.mean([sweep[name] for sweep in swept], axis=0)
        means[f"{name}_max"] = float(curve.max()), len(swept)
    return means


def case_mean(case: CaseScores, name: str) -> float:
    """Return the mean of a score of a case over the classes that define it; NaN without any."""
    return mean_of_defined([scores[name] for scores in case.by_class.values()])[0]


def class_means(cases: Sequence[CaseScores]) -> dict[int, dict[str, tuple[float, int]]]:
    """Return the mean of each score over the cases that define it, and their number, by class."""
    classes = cases[0].by_class
    return {
        k: {name: mean_of_defined([case.by_class[k][name] for case in cases]) for name in scores}
        for k, scores in classes.items()
    }


def published_means(cases: Sequence[CaseScores]) -> dict[str, float]:
    """Return mean Dice and HD95 of volumes by the rule of TransUNet's published evaluation.

    A class that is predicted but not in the truth counts as Dice 1, one that is missing as Dice 0,
    and either as distance 0 (Beckschen/TransUNet, issue 39). Comparisons with published figures
    need it, although it rewards mistakes.
    """
    pairs = [
        _published(scores, *case.presence[k])
        for case in cases
        for k, scores in case.by_class.items()
    ]
    dice, distance = np.mean(pairs, axis=0).tolist()
    return {"dice": dice, "hd95": distance}


def _published(
    scores: Mapping[str, float], in_truth: bool, is_predicted: bool
) -> tuple[float, float]:
    if in_truth and is_predicted:
        return scores["dice"], scores["hd95"]
    return float(is_predicted), 0.0


def _share(part: int, total: int) -> float:
    return part / total if total else nan
