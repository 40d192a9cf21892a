from __future__ import annotations

import time
from math import isnan

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from monai.metrics import compute_hausdorff_distance

from napari_emcad.training.metrics import Scores, hausdorff95, score

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
def test_nonzero_pixels_are_the_object(dtype):
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


# -- distances

lengths = st.sampled_from([0.25, 0.5, 1.0, 2.0, 3.5])


@st.composite
def spaced(draw, largest: int = 7):
    """Return two masks that are not empty, of two or three axes, and their spacing."""
    rank = draw(st.integers(2, 3))
    shape = tuple(draw(st.integers(2, largest)) for _ in range(rank))
    one, other = (draw(arrays.arrays(bool, shape)) for _ in range(2))
    assume(one.any() and other.any())
    return one, other, tuple(draw(lengths) for _ in range(rank))


def disc(size: int, radius: float, shift: tuple[int, int] = (0, 0)) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    middle = size // 2
    return (y - middle - shift[0]) ** 2 + (x - middle - shift[1]) ** 2 <= radius**2


monai_warns = pytest.mark.filterwarnings("ignore:monai.metrics:FutureWarning")


@monai_warns
@settings(deadline=None, database=None, derandomize=True, max_examples=150)
@given(spaced())
def test_the_distance_is_that_of_monai(case):
    one, other, spacing = case
    given_to_monai = (torch.from_numpy(each)[None, None] for each in (one, other))
    expected = compute_hausdorff_distance(
        *given_to_monai, include_background=True, percentile=95, spacing=spacing
    )
    assert hausdorff95(one, other, spacing) == pytest.approx(expected.item(), rel=1e-5)


@monai_warns
def test_large_masks_have_the_distance_of_monai():
    one, other = disc(200, 70), disc(200, 60, (9, -14)) | disc(200, 8, (80, 80))
    given_to_monai = (torch.from_numpy(each)[None, None] for each in (one, other))
    expected = compute_hausdorff_distance(
        *given_to_monai, include_background=True, percentile=95, spacing=(0.3, 1.7)
    )
    assert hausdorff95(one, other, (0.3, 1.7)) == pytest.approx(expected.item(), rel=1e-5)


@settings(deadline=None, database=None, derandomize=True)
@given(spaced(), lengths)
def test_it_is_symmetric_and_grows_with_the_spacing(case, factor):
    one, other, spacing = case
    distance = hausdorff95(one, other, spacing)
    assert hausdorff95(other, one, spacing) == distance
    larger = [factor * each for each in spacing]
    assert hausdorff95(one, other, larger) == pytest.approx(factor * distance)
    assert hausdorff95(one, other) == hausdorff95(one, other, [1] * one.ndim)


@settings(deadline=None, database=None, derandomize=True)
@given(pairs)
def test_the_distance_is_0_for_equal_surfaces_alone(pair):
    """Up to 20 pixels, of which 5 % are less than one."""
    one, other = (each[:4, :5] for each in pair)
    assume(one.any() and other.any() and min(one.shape) > 1)
    surfaces = [each & ~eroded(each) for each in (one, other)]
    assert (hausdorff95(one, other) == 0) == np.array_equal(*surfaces)


def eroded(mask: np.ndarray) -> np.ndarray:
    """Return the pixels whose four neighbors are all there and in the mask."""
    padded = np.pad(mask, 1)
    neighbors = padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]
    return mask & np.all(neighbors, axis=0)


@pytest.mark.parametrize("pixels", [1, 4, 10])
@pytest.mark.parametrize(("spacing", "along"), [((1, 1), 0), ((0.5, 0.2), 0), ((0.5, 0.2), 1)])
def test_the_distance_of_a_moved_disc_is_its_shift(pixels, spacing, along):
    shift = (pixels, 0) if along == 0 else (0, pixels)
    distance = hausdorff95(disc(200, 60, shift), disc(200, 60), spacing)
    assert distance == pytest.approx(pixels * spacing[along], rel=0.08)


@pytest.mark.parametrize(("axis", "distance"), [(0, 3 * 5.0), (1, 3 * 0.5), (2, 3 * 0.2)])
def test_the_axes_of_a_stack_have_their_own_spacing(axis, distance):
    one, other = np.zeros((2, 8, 8, 8), bool)
    one.swapaxes(0, axis)[1], other.swapaxes(0, axis)[4] = True, True
    assert hausdorff95(one, other, (5.0, 0.5, 0.2)) == pytest.approx(distance)


def test_one_far_pixel_does_not_count_but_many_do():
    truth, speck, many = disc(200, 40), disc(200, 40), disc(200, 40)
    speck[2, 2] = True
    many[:10, :10] = True
    assert hausdorff95(speck, truth) == 0
    assert hausdorff95(many, truth) > 50


def test_the_larger_distance_of_both_directions_counts():
    """Each pixel of the small disc is near the large one's, but not the other way round."""
    small, large = disc(200, 10, (0, 60)), disc(200, 70)
    assert hausdorff95(small, large) == hausdorff95(large, small) > 100


def test_empty_masks_have_distance_0_and_one_empty_mask_none():
    nothing, something = np.zeros((4, 5)), np.ones((4, 5))
    assert hausdorff95(nothing, nothing) == 0
    assert isnan(hausdorff95(nothing, something))
    assert isnan(hausdorff95(something, nothing))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_stack_of_one_slice_is_flat(axis):
    one, other = disc(60, 20), disc(60, 12)
    spacing = [0.5, 0.25]
    flat = hausdorff95(one, other, spacing)
    spacing.insert(axis, 9.0)
    stacked = (np.expand_dims(each, axis) for each in (one, other))
    assert hausdorff95(*stacked, spacing) == flat > 0


def test_single_pixels_have_a_distance():
    assert hausdorff95(np.ones((1, 1)), np.ones((1, 1)), (2, 2)) == 0


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int32, np.float32])
def test_distances_are_between_nonzero_pixels(dtype):
    one, other = disc(40, 9) * 3, disc(40, 5) * 200
    expected = hausdorff95(one > 0, other > 0)
    assert hausdorff95(one.astype(dtype), other.astype(dtype)) == expected > 0


@pytest.mark.parametrize(
    "spacing", [(1,), (1, 1, 1), (0, 1), (-1, 1), (np.nan, 1), (np.inf, 1), 1.0]
)
def test_an_invalid_spacing_is_refused(spacing):
    with pytest.raises(ValueError, match="2 positive numbers"):
        hausdorff95(np.ones((4, 5)), np.ones((4, 5)), spacing)


def test_distances_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"predicted \(1, 5\), truth \(4, 5\)"):
        hausdorff95(np.ones((1, 5)), np.ones((4, 5)))


def test_masks_of_four_megapixels_take_seconds():
    one, other = np.random.default_rng(0).random((2, 2000, 2000)) > 0.5
    begun = time.process_time()
    assert hausdorff95(one, other, (0.5, 0.5)) == 0.5
    assert time.process_time() - begun < 20
