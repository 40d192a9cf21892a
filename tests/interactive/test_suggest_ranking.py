"""Ranking of suggested regions: disjoint, unlabeled, uncertain, sorted by score."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.interactive.suggest_ranking import (
    RegionRanking,
    SuggestedRegion,
    UncertainSlice,
    best_slices,
    evenly_spaced,
    grouped_by_slice,
    suggest_regions,
)


@st.composite
def uncertain_slices(draw, index=()):
    height, width = draw(st.tuples(st.integers(1, 70), st.integers(1, 70)))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    coarse = draw(st.sampled_from([1, 4]))
    shape = -(-height // coarse), -(-width // coarse)
    uncertainty = rng.random(shape) * draw(st.sampled_from([0.0, 0.2, 1.0]))
    target = np.full((height, width), UNLABELED, np.int16)
    for _ in range(draw(st.integers(0, 4))):
        y, x = rng.integers(height), rng.integers(width)
        target[y : y + 5, x : x + 5] = rng.integers(0, 3)
    features = draw(st.sampled_from([None, 1, 3]))
    planes = () if features is None else rng.random((features, height, width), np.float32)
    return UncertainSlice(index, uncertainty, target, planes)


def overlap(a, b):
    across = zip((a.rows, a.columns), (b.rows, b.columns), strict=True)
    return a.index == b.index and all(p[0] < q[1] and q[0] < p[1] for p, q in across)


@settings(deadline=None)
@given(uncertain_slices(), st.integers(1, 40), st.integers(0, 9))
def test_regions_are_disjoint_unlabeled_and_sorted_by_score(one, size, most):
    regions = suggest_regions([one], size, most)
    height, width = one.target.shape
    assert len(regions) <= most
    for region in regions:
        (top, bottom), (left, right) = region.rows, region.columns
        assert 0 <= top < bottom <= height
        assert 0 <= left < right <= width
        assert (bottom - top, right - left) == (min(size, height), min(size, width))
        assert (one.target[top:bottom, left:right] == UNLABELED).all()
        assert 0 < region.score <= 1
    assert not any(overlap(a, b) for a, b in combinations(regions, 2))
    assert [region.score for region in regions] == sorted(
        (region.score for region in regions), reverse=True
    )
    assert regions == suggest_regions([one], size, most)


@settings(deadline=None)
@given(uncertain_slices(), st.integers(1, 40))
def test_an_annotated_region_is_not_suggested_again(one, size):
    for first in suggest_regions([one], size, 1):
        annotated = one.target.copy()
        annotated[slice(*first.rows), slice(*first.columns)] = 1
        after = suggest_regions(
            [UncertainSlice(one.index, one.uncertainty, annotated, one.features)], size, 9
        )
        assert not any(overlap(first, region) for region in after)


@pytest.mark.parametrize("level", [0.0, 0.1, np.nan])
def test_nothing_is_suggested_without_uncertainty(level):
    target = np.full((50, 60), UNLABELED, np.int16)
    assert suggest_regions([UncertainSlice((), np.full((50, 60), level), target)]) == []
    assert suggest_regions([]) == []


def test_the_most_uncertain_region_of_a_coarse_map_is_first():
    target = np.full((128, 160), UNLABELED, np.int16)
    uncertainty = np.zeros((32, 40))
    uncertainty[16:24, 28:36] = 1
    (regions, *_) = suggest_regions([UncertainSlice((), uncertainty, target)], 32)
    assert (regions.rows, regions.columns) == ((64, 96), (112, 144))
    assert regions.center == (79.5, 127.5)


def test_a_region_unlike_the_annotations_ranks_first():
    target = np.full((40, 160), UNLABELED, np.int16)
    target[20, 10] = 1
    uncertainty, features = np.zeros((40, 160)), np.zeros((1, 40, 160))
    uncertainty[:, 40:80] = uncertainty[:, 120:160] = 0.5
    features[:, :, 80:] = 1
    first, second = suggest_regions([UncertainSlice((), uncertainty, target, features)], 40, 2)
    assert first.columns == (120, 160)
    assert overlap(second, SuggestedRegion((), (0, 40), (40, 80), 0))


def test_a_representative_region_ranks_first():
    target = np.full((40, 240), UNLABELED, np.int16)
    uncertainty, features = np.zeros((40, 240)), np.zeros((1, 40, 240))
    uncertainty[:, :40] = 0.55
    uncertainty[:, 80:120] = uncertainty[:, 160:200] = 0.5
    features[:, :, 80:] = 1
    first, second, _ = suggest_regions([UncertainSlice((), uncertainty, target, features)], 40, 3)
    assert {first.columns, second.columns} & {(80, 120), (160, 200)}
    assert first.columns[0] >= 80
    assert second.columns == (0, 40)  # the first represents the others


def test_features_may_have_several_resolutions():
    target = np.full((64, 64), UNLABELED, np.int16)
    rng = np.random.default_rng(0)
    fine, coarse, uncertainty = rng.random((64, 64)), rng.random((16, 16)), rng.random((64, 64))
    enlarged = coarse.repeat(4, 0).repeat(4, 1)
    mixed = suggest_regions([UncertainSlice((), uncertainty, target, (fine, coarse))], 16)
    assert mixed == suggest_regions(
        [UncertainSlice((), uncertainty, target, np.stack([fine, enlarged]))], 16
    )


def test_large_images_are_ranked_in_bounded_memory(monkeypatch):
    monkeypatch.setattr("napari_emcad.interactive.suggest_ranking._MOST", 20)
    rng = np.random.default_rng(0)
    target = np.full((256, 256), UNLABELED, np.int16)
    uncertainty, features = rng.random((256, 256)), rng.random((2, 256, 256))
    uncertainty[64:128, 96:160] = 1
    regions = suggest_regions([UncertainSlice((), uncertainty, target, features)], 32)
    assert overlap(regions[0], SuggestedRegion((), (64, 128), (96, 160), 0))


def test_slices_are_ranked_by_their_best_region():
    target = np.full((64, 64), UNLABELED, np.int16)
    stack = [
        UncertainSlice((z,), np.full((64, 64), level), target) for z, level in enumerate((0.3, 0.9))
    ]
    regions = suggest_regions(iter(stack), 32, 8)
    assert regions[0].index == (1,)
    assert len(regions) == 8
    assert best_slices(regions) == [(1,), (0,)]
    assert best_slices([]) == []


def test_an_empty_region_size_is_refused():
    with pytest.raises(ValueError, match="1 at least"):
        suggest_regions([], 0)


@given(st.integers(0, 500), st.integers(1, 40))
def test_positions_are_spread_evenly_from_end_to_end(count, most):
    chosen = evenly_spaced(count, most)
    assert len(chosen) == min(count, most)
    assert chosen == sorted(set(chosen))
    assert all(0 <= n < count for n in chosen)
    if len(chosen) > 1:
        steps = np.diff(chosen)
        assert (chosen[0], chosen[-1]) == (0, count - 1)
        assert steps.max() - steps.min() <= 1


def test_zero_positions_are_refused():
    with pytest.raises(ValueError, match="at least 1"):
        evenly_spaced(3, 0)


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0.01, 1)), max_size=12))
def test_regions_are_grouped_by_slice(drawn):
    regions = [
        SuggestedRegion((z,), (8 * n, 8 * n + 8), (0, 8), score)
        for n, (z, score) in enumerate(drawn)
    ]
    ordered = grouped_by_slice(regions)
    assert sorted(ordered, key=regions.index) == regions
    slices = list(dict.fromkeys(region.index for region in ordered))
    assert slices == best_slices(regions)
    assert [region.index for region in ordered] == [
        region.index for z in slices for region in regions if region.index == z
    ]
    for z in slices:
        uses = [region.score for region in ordered if region.index == z]
        assert uses == sorted(uses, reverse=True)


@settings(deadline=None)
@given(st.lists(uncertain_slices(), max_size=3), st.integers(4, 40))
def test_slices_can_be_added_one_by_one(slices, size):
    uncertain_slices_in_order = [
        UncertainSlice((n,), drawn.uncertainty, drawn.target) for n, drawn in enumerate(slices)
    ]
    ranking = RegionRanking(size)
    assert ranking.best() == []
    for uncertain in uncertain_slices_in_order:
        ranking.add(uncertain)
    assert ranking.best(4) == suggest_regions(uncertain_slices_in_order, size, 4)
