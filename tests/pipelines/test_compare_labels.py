"""Scores of labels against the truth, slice by slice, and the pixels that differ."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from monai.metrics import compute_hausdorff_distance
from sklearn.metrics import f1_score, jaccard_score

import napari_emcad
from napari_emcad.inference.jobs import run_job
from napari_emcad.pipelines.compare_labels import EXTRA, MISSED, OTHER_CLASS, compare_job

LABELS = arrays(np.uint8, (3, 6, 7), elements=st.integers(0, 3))


@pytest.mark.slow("src/napari_emcad/pipelines", "src/napari_emcad/training/metrics.py")
@given(LABELS, LABELS)
def test_dice_and_iou_are_those_of_scikit_learn(predicted, truth):
    comparison = napari_emcad.compare_labels(predicted, truth, classes=3)
    for n, scores in enumerate(comparison.by_slice):
        for k, one in scores.by_class.items():
            masks = (truth[n] == k).ravel(), (predicted[n] == k).ravel()
            assert one.dice == pytest.approx(f1_score(*masks, zero_division=1))
            assert one.iou == pytest.approx(jaccard_score(*masks, zero_division=1))


@given(LABELS, LABELS)
def test_errors_partition_the_pixels_that_differ(predicted, truth):
    errors = napari_emcad.compare_labels(predicted, truth, classes=3).errors
    assert ((errors > 0) == (predicted != truth)).all()
    assert (truth[errors == MISSED] > 0).all()
    assert (predicted[errors == MISSED] == 0).all()
    assert (truth[errors == EXTRA] == 0).all()
    other = errors == OTHER_CLASS
    assert ((predicted[other] > 0) & (truth[other] > 0)).all()


@given(LABELS, LABELS)
def test_the_worst_slice_has_the_lowest_dice(predicted, truth):
    comparison = napari_emcad.compare_labels(predicted, truth, classes=3)
    means = [one.mean("dice") for one in comparison.by_slice if one.counts]
    if means:
        assert comparison.by_slice[comparison.worst].mean("dice") == min(means)
    else:
        assert comparison.worst is None


@pytest.mark.filterwarnings("ignore:.*has been deprecated:FutureWarning")
def test_distances_are_those_of_monai():
    rng = np.random.default_rng(0)
    predicted, truth = (rng.random((2, 1, 4, 16, 16)) < 0.1).astype(np.uint8)
    comparison = napari_emcad.compare_labels(
        predicted[0], truth[0], scale={"Z": 3, "Y": 0.5, "X": 0.5}, unit="mm"
    )
    expected = compute_hausdorff_distance(
        predicted[None], truth[None], percentile=95, spacing=(3.0, 0.5, 0.5)
    )
    assert comparison.total.hd95[1] == pytest.approx(float(expected))
    assert comparison.total.unit == "mm"
    flat = compute_hausdorff_distance(
        predicted[None, :, 2], truth[None, :, 2], percentile=95, spacing=(0.5, 0.5)
    )
    assert comparison.by_slice[2].hd95[1] == pytest.approx(float(flat))


def test_positions_follow_the_axes_that_are_not_y_and_x():
    labels = np.ones((5, 2, 4, 3), int)
    comparison = napari_emcad.compare_labels(labels, labels, axes="YZXT")
    assert comparison.positions == tuple(np.ndindex(2, 3))
    assert [one.mean("dice") for one in comparison.by_slice] == [1.0] * 6


def test_ignored_pixels_are_neither_scored_nor_errors():
    truth = np.array([[0, 1, 2, 255]], np.uint8)
    comparison = napari_emcad.compare_labels(np.array([[0, 1, 1, 1]]), truth, classes=2)
    assert comparison.errors.tolist() == [[0, 0, OTHER_CLASS, 0]]
    assert comparison.total.by_class[1].false_positive == 1


def test_a_stopped_job_has_the_slices_that_were_done():
    stop, labels = threading.Event(), np.ones((9, 4, 4), np.uint8)
    job = compare_job(labels, labels, 1, None, None, "pixel", stop)
    comparison = run_job(job, lambda event: stop.set() if event.done == 4 else None)
    assert comparison.positions == ((0,), (1,), (2,), (3,))


@pytest.mark.parametrize(
    ("predicted", "truth", "classes", "message"),
    [
        (np.ones((4, 4), int), np.ones((4, 5), int), 1, "shapes differ"),
        (np.ones((4, 4), int), np.full((4, 4), 7), 2, "value 7; the network has classes 1 to 2"),
        (np.ones((4, 4)), np.ones((4, 4), int), 1, "whole numbers"),
    ],
)
def test_what_cannot_be_compared_is_refused(predicted, truth, classes, message):
    with pytest.raises(ValueError, match=message):
        napari_emcad.compare_labels(predicted, truth, classes)
