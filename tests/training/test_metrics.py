from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from napari_emcad.training.metrics import Scores, score

NAMES = ("dice", "iou", "precision", "recall")
counts = st.integers(0, 10**12)
pairs = st.tuples(st.integers(1, 6), st.integers(1, 6)).flatmap(
    lambda shape: st.tuples(arrays.arrays(bool, shape), arrays.arrays(bool, shape))
)


@given(pairs)
def test_scores_are_their_formulae_over_sets_of_pixels(pair):
    predicted, truth = pair
    p, t = (set(map(tuple, np.argwhere(each))) for each in pair)
    found = score(predicted, truth)
    assert (found.true_positive, found.false_positive, found.false_negative) == (
        len(p & t),
        len(p - t),
        len(t - p),
    )
    assert found.dice == (2 * len(p & t) / (len(p) + len(t)) if p or t else 1)
    assert found.iou == (len(p & t) / len(p | t) if p or t else 1)
    assert found.precision == (len(p & t) / len(p) if p else float(not t))
    assert found.recall == (len(p & t) / len(t) if t else 1)


@given(counts, counts, counts)
def test_dice_follows_from_iou_and_is_the_harmonic_mean_of_precision_and_recall(tp, fp, fn):
    found = Scores(tp, fp, fn)
    assert found.dice == pytest.approx(2 * found.iou / (1 + found.iou))
    if tp:
        mean = 2 / (1 / found.precision + 1 / found.recall)
        assert found.dice == pytest.approx(mean)
    assert all(0 <= getattr(found, name) <= 1 for name in NAMES)
    assert found.iou <= found.dice


@given(pairs)
def test_swapping_the_masks_swaps_precision_and_recall_only(pair):
    one, other = score(*pair), score(*pair[::-1])
    assert (one.dice, one.iou) == (other.dice, other.iou)
    if pair[0].any() and pair[1].any():
        assert (one.precision, one.recall) == (other.recall, other.precision)


@pytest.mark.parametrize(
    ("predicted", "truth", "expected"),
    [
        (0, 0, (1, 1, 1, 1)),
        (1, 0, (0, 0, 0, 1)),
        (0, 1, (0, 0, 0, 0)),
        (1, 1, (1, 1, 1, 1)),
    ],
)
def test_empty_and_full_masks_have_scores(predicted, truth, expected):
    found = score(np.full((4, 5), predicted), np.full((4, 5), truth))
    assert tuple(getattr(found, name) for name in NAMES) == expected


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int32, np.float32])
def test_what_is_not_0_is_the_object(dtype):
    truth = np.array([[0, 1, 1, 0]])
    predicted = (np.array([[0, 255, 3, 1]])).astype(dtype)
    found = score(predicted, truth)
    assert (found.true_positive, found.false_positive, found.false_negative) == (2, 1, 0)


def test_masks_of_different_shapes_are_refused_with_both_shapes():
    with pytest.raises(ValueError, match=r"predicted \(4, 5\), truth \(5, 4\)"):
        score(np.zeros((4, 5)), np.zeros((5, 4)))
    with pytest.raises(ValueError, match="shapes differ"):
        score(np.zeros((1, 5)), np.zeros((4, 5)))  # would broadcast


def test_counts_of_large_stacks_do_not_overflow():
    full = np.broadcast_to(np.uint8(1), (70_000, 70_000))[:300, :300]
    found = score(full, full)
    assert type(found.true_positive) is int
    assert Scores(5 * 10**18, 5 * 10**18, 0).dice == pytest.approx(2 / 3)
