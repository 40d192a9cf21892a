"""Label rules: the class of a label value, and the detection of the rule of a layer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_emcad.annotation.detect_rule import detect_rule
from napari_emcad.annotation.label_rules import (
    BACKGROUND,
    UNLABELED,
    LabelRule,
    LabelValueError,
    target_of,
    value_counts,
)
from napari_emcad.annotation.mask_values import MaskValues, look_like_instances, mask_values

CLASSES = st.integers(1, 6)


def array(*values, dtype=np.uint8):
    return np.array(values, dtype).reshape(1, -1)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40), st.booleans())
def test_value_k_is_class_k_everywhere(values, scribbles):
    labels = array(*values)
    target = target_of(labels, LabelRule("scribbles" if scribbles else "mask"), 6)
    for value, meant in zip(values, target[0], strict=True):
        assert meant == (value or (UNLABELED if scribbles else 0))


def test_in_scribbles_255_is_background_and_0_unlabeled():
    target = target_of(array(0, 1, BACKGROUND), LabelRule("scribbles"), 1)
    assert target.tolist() == [[UNLABELED, 1, 0]]


def test_objects_are_all_of_class_1():
    target = target_of(array(0, 3, 70_000, dtype=np.uint32), LabelRule("objects"), 2)
    assert target.tolist() == [[0, 1, 1]]


def test_a_remapped_value_is_another_class_or_the_background():
    rule = LabelRule("scribbles", ((7, 1), (2, 0)))
    assert target_of(array(0, 7, 2, 1), rule, 1).tolist() == [[UNLABELED, 1, 0, 1]]


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint16, np.int64, ">u2"])
def test_any_integer_type(dtype):
    labels = np.array([[0, 1], [1, 0]]).astype(dtype)
    assert target_of(labels, LabelRule("mask"), 1).tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize(("values", "message"), [((3,), "value 3 "), ((-2, 7), "value 7 ")])
def test_a_value_that_is_no_class_is_named(values, message):
    with pytest.raises(LabelValueError, match=message):
        target_of(array(*values, dtype=np.int16), LabelRule("mask"), 2)


def test_a_rule_is_checked():
    with pytest.raises(ValueError, match="no meaning"):
        LabelRule("guess")
    with pytest.raises(ValueError, match="two classes"):
        LabelRule("mask", ((3, 1), (3, 2)))


@pytest.mark.parametrize(
    ("counts", "classes", "meaning", "certain"),
    [
        ({}, 1, "scribbles", True),
        ({0: 100}, 3, "scribbles", True),
        ({0: 90, 255: 10}, 1, "mask", True),
        ({255: 10}, 4, "mask", True),
        ({0: 90, 1: 10}, 1, "mask", False),
        ({0: 90, 1: 5, 2: 5}, 3, "mask", False),
        ({1: 5, 2: 5}, 3, "mask", True),
        ({0: 90, 1: 5, 255: 5}, 1, "scribbles", False),
        ({0: 90, **dict.fromkeys(range(1, 60), 3)}, 1, "objects", True),
        ({0: 90, 1: 3, 2: 3, 3: 3}, 1, "objects", False),
    ],
)
def test_the_rule_of_a_foreign_layer_is_detected_with_its_certainty(
    counts, classes, meaning, certain
):
    detected = detect_rule(counts, classes)
    assert (detected.rule.meaning, detected.certain) == (meaning, certain)
    assert detected.reason.endswith(".")


def test_a_mask_of_0_and_255_is_class_1_and_never_background():
    labels = array(0, 255, 255)
    rule = detect_rule(value_counts(labels), 1).rule
    assert target_of(labels, rule, 1).tolist() == [[0, 1, 1]]


@given(st.lists(st.integers(0, 300), min_size=1, max_size=60), CLASSES)
def test_every_detected_rule_can_be_applied(values, classes):
    labels = array(*values, dtype=np.uint16)
    target = target_of(labels, detect_rule(value_counts(labels), classes).rule, classes)
    assert target.min() >= UNLABELED
    assert target.max() <= classes


def mask_with_squares(*squares, shape=(40, 40)):
    """Return a mask with squares of 4 × 4 pixels, as (value, row, column)."""
    mask = np.zeros(shape, np.int64)
    for value, row, column in squares:
        mask[row : row + 4, column : column + 4] = value
    return mask


def test_mask_values_are_counted_with_their_connected_components():
    mask = mask_with_squares((1, 0, 0), (2, 0, 4), (9, 20, 20), (9, 30, 30), (10**9, 36, 0))
    assert mask_values(mask) == MaskValues((1, 2, 9, 10**9), 3)
    assert mask_values(mask_with_squares()) == MaskValues((), 0)


def test_connected_values_of_different_number_look_like_instances():
    rows = [(k, 8 * (k // 5), 8 * (k % 5)) for k in range(1, 10)]
    few, many = mask_values(mask_with_squares(*rows[:3])), mask_values(mask_with_squares(*rows))
    assert look_like_instances([few, many])
    assert look_like_instances([many])
    assert not look_like_instances([few, few])
    assert not look_like_instances([])
    assert not look_like_instances([mask_values(mask_with_squares())])


def test_classes_do_not_look_like_instances():
    cells = [(k % 3 + 1, 8 * (k // 5), 8 * (k % 5)) for k in range(20)]
    assert not look_like_instances(
        [mask_values(mask_with_squares(*cells)), mask_values(mask_with_squares(*cells[:2]))]
    )
    assert not look_like_instances(
        [mask_values(mask_with_squares((k, 0, 0))) for k in (1, 2, 3, 4, 5)]
    )
