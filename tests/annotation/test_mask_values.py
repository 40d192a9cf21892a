"""Values of masks that are ignored: below 0 everywhere, and 255 where it is void."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import napari_emcad
from napari_emcad.annotation.detect_rule import change_meaning, detect_rule
from napari_emcad.annotation.label_rules import UNLABELED, LabelRule, target_of, value_counts
from napari_emcad.annotation.mask_values import has_void, mask_target
from napari_emcad.pipelines.scores import class_hd95, class_scores


@given(
    st.sampled_from(["scribbles", "mask", "objects"]), st.integers(-(2**31), -1), st.integers(1, 9)
)
def test_negative_values_are_unlabeled_whatever_the_meaning(meaning, negative, k):
    rule = LabelRule(meaning)
    assert rule.class_of(negative) == UNLABELED
    labels = np.array([[negative, k]], np.int64)
    assert target_of(labels, rule, 9)[0, 0] == UNLABELED


@pytest.mark.parametrize("meaning", ["mask", "objects"])
def test_negative_pixels_of_a_layer_are_not_learned(meaning):
    labels = np.full((96, 128), -1, np.int32)
    labels[:40], labels[14:34, 20:40], labels[40:60, 70:90], labels[66:84, 32:48] = 0, 1, 2, 3
    detected = detect_rule(value_counts(labels), 1)
    chosen = change_meaning(detected.rule, meaning, value_counts(labels), 3)
    target = target_of(labels, chosen.rule, 3)
    assert ((target == UNLABELED) == (labels < 0)).all()


@pytest.mark.parametrize(
    ("values", "classes", "void"),
    [
        ({1, 255}, 1, True),
        ({1, 2, 3, 255}, 1, True),
        ({1, 2, 3, 255}, 3, True),
        ({7, 90, 255}, None, True),
        ({255}, 1, False),
        ({1, 2}, 2, False),
        (set(range(1, 256)), 1, False),
        ({1, 255, 300}, 1, False),
        ({1, 255}, 255, False),
        ({127, 255}, 2, False),
        ({85, 170, 255}, 3, False),
    ],
)
def test_255_is_void_only_beside_other_values(values, classes, void):
    assert has_void(values, classes) == void


def test_a_mask_of_0_and_255_is_class_1():
    mask = np.array([[0, 255]], np.uint8)
    assert mask_target(mask, 1).tolist() == [[0, 1]]
    assert mask_target(mask, 4).tolist() == [[0, 1]]
    assert mask_target(mask, 1, foreground=True).tolist() == [[0, 1]]


@pytest.mark.parametrize("foreground", [False, True])
@pytest.mark.parametrize("ignored", [-1, -7, 255])
def test_ignored_pixels_count_in_no_score(foreground, ignored):
    """Whatever is predicted where the truth is void, the scores are those of the other pixels."""
    rng = np.random.default_rng(0)
    truth = np.zeros((60, 60), np.int32)
    truth[10:30, 10:30], truth[40:50, 40:55] = 1, 2 if foreground else 1
    truth[30:38, 8:32] = ignored
    known = truth != ignored
    for predicted in (truth > 0, (truth > 0) & known, rng.random(truth.shape) > 0.5):
        (scores,) = class_scores(predicted.astype(np.uint8), truth, 1).values()
        p, t = (predicted & known), ((truth > 0) & known)
        assert scores.dice == pytest.approx(2 * (p & t).sum() / (p.sum() + t.sum()))
    perfect = ((truth > 0) & known).astype(np.uint8)
    assert class_scores(perfect | (truth == ignored), truth, 1)[1].dice == 1
    assert class_hd95(perfect | (truth == ignored), truth, 1, "YX", {}) == {1: 0.0}


def test_void_objects_are_ignored_in_a_layer():
    labels = np.zeros((40, 40), np.uint8)
    for k in range(1, 9):
        labels[4 * k : 4 * k + 2, 4:8] = k
    labels[:, 30:34] = 255
    detected = detect_rule(value_counts(labels), 1)
    assert detected.rule.meaning == "objects"
    assert "void" in detected.reason
    target = target_of(labels, detected.rule, 1)
    assert ((target == UNLABELED) == (labels == 255)).all()
    assert (target[(labels > 0) & (labels < 255)] == 1).all()


def test_void_of_a_mask_is_ignored_when_the_user_chooses_mask():
    labels = np.array([[0, 1, 2, 255]], np.uint8)
    counts = value_counts(labels)
    detected = change_meaning(detect_rule(counts, 2).rule, "mask", counts, 2)
    assert target_of(labels, detected.rule, 2).tolist() == [[0, 1, 2, UNLABELED]]
    assert "void" in detected.reason


def test_evaluate_ignores_void():
    image = np.full((64, 64), 12, np.uint8)
    image[10:30, 10:30] = 150
    checkpoint = napari_emcad.bundled_checkpoint()
    predicted = napari_emcad.segment(image, checkpoint, device="cpu").labels
    truth = predicted.astype(np.uint8)
    truth[50:60, 5:60] = 255
    (score,) = napari_emcad.evaluate([image], [truth], checkpoint, device="cpu")
    assert score.by_class[1].dice == 1
