"""Scores of the papers' protocols, against naive counts and other libraries."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.metrics import confusion_matrix, f1_score, jaccard_score

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.pipelines.protocol_scores import (
    THRESHOLDS,
    CaseScores,
    class_means,
    confusion_scores,
    mean_scores,
    published_means,
    threshold_sweep,
    volume_scores,
)
from napari_emcad.training.metrics import hausdorff95, hausdorff95_pooled


def surface(mask):
    """Return the coordinates of voxels with a neighbor outside along an axis."""
    padded = np.pad(mask, 1)
    inner = padded.copy()
    for axis in range(mask.ndim):
        for step in (-1, 1):
            inner &= np.roll(padded, step, axis)
    return np.argwhere((padded & ~inner)[(slice(1, -1),) * mask.ndim])


def distances(one, other):
    """Return all nearest distances between two surfaces, in both directions."""
    table = cdist(surface(one), surface(other))
    return table.min(axis=1), table.min(axis=0)


def volume(seed, shape=(5, 24, 20), classes=3):
    """Return smooth blobs of several classes."""
    from scipy.ndimage import gaussian_filter

    fields = [
        gaussian_filter(np.random.default_rng(seed + k).random(shape), (1, 3, 3))
        for k in range(classes + 1)
    ]
    return np.argmax(fields, axis=0)


@pytest.mark.parametrize("seed", range(4))
def test_dice_and_hd95_of_a_volume(seed):
    """As medpy: Dice of all voxels, the percentile of the distances of both directions."""
    truth, predicted = volume(seed), volume(seed + 50)
    for k in (1, 2, 3):
        one, other = predicted == k, truth == k
        found = volume_scores(predicted, truth, k)
        assert found["dice"] == pytest.approx(2 * (one & other).sum() / (one.sum() + other.sum()))
        assert found["hd95"] == pytest.approx(np.percentile(np.hstack(distances(one, other)), 95))
        assert found["hd95"] <= hausdorff95(one, other)


def test_the_two_kinds_of_hd95_differ_where_one_direction_is_worse():
    truth = np.zeros((1, 40, 40), bool)
    truth[0, 2:6, 2:6] = True
    predicted = truth.copy()
    predicted[0, 30:36, 30:36] = True
    forth, back = distances(predicted[0], truth[0])
    expected = np.percentile(np.hstack([forth, back]), 95)
    assert hausdorff95_pooled(predicted, truth) == pytest.approx(expected)
    assert hausdorff95(predicted, truth) == pytest.approx(
        max(np.percentile(forth, 95), np.percentile(back, 95))
    )
    assert hausdorff95_pooled(predicted, truth) < hausdorff95(predicted, truth)


def test_a_class_that_is_missing_on_one_side_has_no_distance():
    truth, predicted = np.zeros((2, 3, 4), int), np.zeros((2, 3, 4), int)
    truth[0, 0, 0], predicted[1, 1, 1] = 1, 2
    missed, extra = volume_scores(predicted, truth, 1), volume_scores(predicted, truth, 2)
    for scores in (missed, extra):
        assert scores["dice"] == 0
        assert np.isnan(scores["hd95"])
    assert all(map(np.isnan, volume_scores(predicted, truth, 3).values()))


def test_ignored_voxels_count_in_no_score():
    truth, predicted = volume(3), volume(9)
    expected = volume_scores(predicted, truth, 1)
    wrong = predicted.copy()
    truth = np.pad(truth, ((0, 0), (0, 3), (0, 0)), constant_values=UNLABELED)
    wrong = np.pad(wrong, ((0, 0), (0, 3), (0, 0)), constant_values=1)
    assert volume_scores(wrong, truth, 1)["dice"] == expected["dice"]


def binary(seed):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2, (13, 17)), rng.integers(0, 2, (13, 17))


@pytest.mark.parametrize("seed", range(3))
def test_scores_of_the_confusion_matrix(seed):
    predicted, truth = binary(seed)
    truth[:2] = UNLABELED
    one, other = predicted[2:].ravel(), truth[2:].ravel()
    negative, false, missed, positive = confusion_matrix(other, one).ravel()
    found = confusion_scores(predicted, truth)
    assert found == pytest.approx(
        {
            "dice": f1_score(other, one),
            "iou": jaccard_score(other, one),
            "sensitivity": positive / (positive + missed),
            "specificity": negative / (negative + false),
            "accuracy": (positive + negative) / one.size,
        }
    )


def test_scores_without_any_object_are_undefined_where_they_say_nothing():
    nothing = np.zeros((4, 5), int)
    found = confusion_scores(nothing, nothing)
    assert np.isnan([found["dice"], found["iou"], found["sensitivity"]]).all()
    assert (found["specificity"], found["accuracy"]) == (1, 1)


@pytest.mark.parametrize("kind", ["bytes", "any"])
@pytest.mark.parametrize("seed", range(3))
def test_the_sweep_equals_a_loop_over_256_thresholds(seed, kind):
    rng = np.random.default_rng(seed)
    probabilities = rng.random((11, 12)).astype(np.float32)
    if kind == "bytes":
        probabilities = (THRESHOLDS[rng.integers(0, 256, (11, 12))]).astype(np.float64)
    truth = rng.integers(-1, 2, (11, 12))
    sweep = threshold_sweep(probabilities, truth)
    known = truth >= 0
    for number, threshold in enumerate(np.arange(256) / 255):
        found = (probabilities.astype(np.float64) >= threshold)[known]
        true = truth[known] == 1
        hits = (found & true).sum()
        dice = 2 * hits / (found.sum() + true.sum()) if hits else 0
        iou = hits / (found | true).sum() if hits else 0
        assert sweep["dice"][number] == pytest.approx(dice)
        assert sweep["iou"][number] == pytest.approx(iou)


def test_means_are_over_the_cases_that_define_a_score():
    cases = [
        CaseScores("a", {1: {"dice": 0.5, "hd95": 2.0}, 2: {"dice": 1.0, "hd95": np.nan}}, {}),
        CaseScores("b", {1: {"dice": np.nan, "hd95": np.nan}, 2: {"dice": 0.2, "hd95": 8.0}}, {}),
    ]
    assert mean_scores(cases) == {
        "dice": (pytest.approx((0.75 + 0.2) / 2), 2),
        "hd95": (pytest.approx(5.0), 2),
    }
    assert class_means(cases)[1] == {"dice": (0.5, 1), "hd95": (2.0, 1)}


def test_the_best_threshold_is_one_for_all_images():
    one, other = np.linspace(0, 1, 256), np.linspace(1, 0, 256) * 0.5
    cases = [
        CaseScores(name, {1: {"dice": 0.5}}, {"dice": curve, "iou": curve})
        for name, curve in (("a", one), ("b", other))
    ]
    means = mean_scores(cases)
    assert means["dice_max"] == (pytest.approx(((one + other) / 2).max()), 2)
    assert means["dice_max"][0] < (one.max() + other.max()) / 2


def test_absent_classes_count_as_published_on_request():
    """Only predicted: Dice 1, distance 0. Only in the truth, or in neither: Dice 0, distance 0."""
    nan = np.nan
    scores = {
        1: {"dice": 0.8, "hd95": 4.0},
        2: {"dice": 0.0, "hd95": nan},
        3: {"dice": 0.0, "hd95": nan},
        4: {"dice": nan, "hd95": nan},
    }
    presence = {1: (True, True), 2: (False, True), 3: (True, False), 4: (False, False)}
    found = published_means([CaseScores("a", scores, {}, False, presence)])
    assert found == {"dice": pytest.approx((0.8 + 1 + 0 + 0) / 4), "hd95": pytest.approx(1.0)}
