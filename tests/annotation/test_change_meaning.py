"""A change of a layer's meaning gives a new label rule, and a reason to show the user."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_emcad.annotation.detect_rule import change_meaning, detect_rule
from napari_emcad.annotation.label_rules import (
    UNLABELED,
    LabelRule,
    LabelValueError,
    target_of,
    value_counts,
)
from napari_emcad.annotation.mask_values import has_void

MEANINGS = ("scribbles", "mask", "objects")


def test_255_of_a_mask_is_background_once_its_meaning_is_scribbles():
    labels = np.array([[0, 255, 255]], np.uint8)
    counts = value_counts(labels)
    mask = detect_rule(counts, 1).rule
    assert target_of(labels, mask, 1).tolist() == [[0, 1, 1]]
    strokes = change_meaning(mask, "scribbles", counts, 1)
    assert target_of(labels, strokes.rule, 1).tolist() == [[UNLABELED, 0, 0]]
    assert "255 is background now instead of class 1" in strokes.reason
    assert strokes.rule.value_of(1) == 1
    again = change_meaning(strokes.rule, "mask", counts, 1)
    assert again.rule == mask
    assert "its 255 is class 1" in again.reason


@given(
    st.lists(st.sampled_from(MEANINGS), max_size=6),
    st.sets(st.sampled_from([1, 2, 3, 255])),
    st.sampled_from(MEANINGS),
    st.dictionaries(st.integers(1, 3), st.integers(UNLABELED, 3), max_size=3),
)
def test_0_and_255_follow_the_rule_after_any_change_of_meaning(meanings, values, first, moved):
    counts = dict.fromkeys({0, *values}, 5)
    rule = LabelRule(first, tuple(moved.items()))
    for meaning in meanings:
        changed = change_meaning(rule, meaning, counts, 3)
        before, rule = rule, changed.rule
        assert rule.meaning == meaning
        if meaning == "scribbles":
            assert (rule.class_of(0), rule.class_of(255)) == (UNLABELED, 0)
            assert bool(changed.reason) == (255 in values)
        if meaning == "mask":
            assert rule.class_of(0) == 0
            numbered = sorted(values).index(255) + 1 if 255 in values else 255
            assert rule.class_of(255) == (UNLABELED if has_void(values, 3) else numbered)
        if meaning == before.meaning == "scribbles":
            assert all(rule.class_of(v) == before.class_of(v) for v in range(1, 255))


@pytest.mark.parametrize("meaning", MEANINGS)
def test_a_layer_without_255_needs_no_reason(meaning):
    assert not change_meaning(LabelRule("mask"), meaning, {0: 5, 1: 5}, 1).reason


@pytest.mark.parametrize("values", [(85, 170, 255), (127, 255), (128, 255), (64, 128, 191, 255)])
def test_gray_levels_of_a_mask_are_classes_in_their_order(values):
    """Masks stored as gray levels do not have the meaning objects."""
    labels = np.array([[0, *values]], np.uint8)
    detected = detect_rule(value_counts(labels), 1)
    assert f"{values[0]} is class 1, {values[1]} is class 2" in detected.reason
    assert target_of(labels, detected.rule, len(values)).tolist() == [[*range(len(values) + 1)]]
    with pytest.raises(LabelValueError, match="add a class"):
        target_of(labels, detected.rule, len(values) - 1)


def test_numbered_labels_are_classes_once_their_meaning_is_mask():
    labels = np.array([[0, 1, 2, 3]], np.uint8)
    counts = value_counts(labels)
    objects = detect_rule(counts, 1).rule
    assert target_of(labels, objects, 1).tolist() == [[0, 1, 1, 1]]
    assert change_meaning(objects, "mask", counts, 1).rule == LabelRule("mask")
    odd = change_meaning(objects, "mask", {0: 5, 10: 5, 30: 5}, 1)
    assert (odd.rule.class_of(10), odd.rule.class_of(30)) == (1, 2)
    many = dict.fromkeys(range(200), 5)
    assert change_meaning(objects, "mask", many, 1).rule == LabelRule("mask")
