from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emcad.imaging.tiles import Blend, blending_window, plan_tiles

shapes = st.tuples(st.integers(1, 90), st.integers(1, 90))
tiles = st.integers(1, 100)
overlaps = st.floats(0, 0.9)


def corners(tiling):
    return [(top, left) for top in tiling.tops for left in tiling.lefts]


def maps_of(tiling, classes=2, seed=0):
    random = np.random.default_rng(seed)
    return [
        random.standard_normal((classes, *tiling.tile)).astype(np.float32) for _ in corners(tiling)
    ]


def blended(tiling, maps):
    """Return the slice after writing all blended tiles one over another."""
    blend, slice_ = Blend(tiling, len(maps[0])), np.full((len(maps[0]), *tiling.shape), np.nan)
    height, width = tiling.tile
    for (top, left), each in zip(corners(tiling), maps, strict=True):
        slice_[:, top : top + height, left : left + width] = blend.add(top, left, each)
    return slice_


def weighted_mean(tiling, maps):
    """Return the same from sums and weights of the whole slice, in double precision."""
    sums, weights = np.zeros((len(maps[0]), *tiling.shape)), np.zeros(tiling.shape)
    height, width = tiling.tile
    for (top, left), each in zip(corners(tiling), maps, strict=True):
        where = (slice(top, top + height), slice(left, left + width))
        sums[:, *where] += each * blending_window(height, width).astype(float)
        weights[where] += blending_window(height, width)
    return sums / weights


@given(shapes, tiles, overlaps)
def test_tiles_cover_every_pixel_within_the_slice_and_end_flush(shape, tile, overlap):
    tiling = plan_tiles(shape, tile, overlap)
    assert tiling.tile == (min(tile, shape[0]), min(tile, shape[1]))
    assert len(tiling) == len(corners(tiling))
    for starts, side, length in zip((tiling.tops, tiling.lefts), tiling.tile, shape, strict=True):
        assert starts[0] == 0
        assert starts[-1] + side == length
        assert all(0 < b - a <= side for a, b in itertools.pairwise(starts))


@given(shapes, st.integers(4, 100), overlaps)
def test_neighbors_overlap_by_the_requested_share_and_no_tile_is_superfluous(shape, tile, overlap):
    tiling = plan_tiles(shape, tile, overlap)
    for starts, side in zip((tiling.tops, tiling.lefts), tiling.tile, strict=True):
        steps = np.diff(starts)
        wanted = side * (1 - overlap)
        assert all(step <= max(1, wanted) for step in steps)
        assert all(step > wanted - 1 - 1e-9 for step in steps[:-1])
        assert len(set(starts)) == len(starts)


@pytest.mark.parametrize("tile", [64, 65, 1000])
def test_a_slice_no_larger_than_a_tile_is_one_tile_of_its_own_size(tile):
    tiling = plan_tiles((64, 33), tile, 0.5)
    assert (tiling.tile, len(tiling)) == ((64, 33), 1)


@pytest.mark.parametrize(
    ("tile", "overlap", "message"),
    [(0, 0, "tile side is 0"), (-5, 0, "tile side"), (9, 1, "overlap is 1"), (9, -0.1, "overlap")],
)
def test_tiles_out_of_bounds_are_refused(tile, overlap, message):
    with pytest.raises(ValueError, match=message):
        plan_tiles((50, 60), tile, overlap)


@settings(max_examples=60, deadline=None)
@given(shapes, st.integers(8, 60), overlaps)
def test_blending_row_by_row_is_the_weighted_mean_of_all_tiles(shape, tile, overlap):
    tiling = plan_tiles(shape, tile, overlap)
    if len(tiling) > 400:
        return
    maps = maps_of(tiling)
    np.testing.assert_allclose(
        blended(tiling, maps), weighted_mean(tiling, maps), rtol=1e-4, atol=1e-4
    )


@settings(max_examples=30, deadline=None)
@given(shapes, st.integers(8, 60), overlaps, st.integers(-1000, 1000))
def test_a_constant_stays_that_constant(shape, tile, overlap, value):
    tiling = plan_tiles(shape, tile, overlap)
    if len(tiling) > 400:
        return
    maps = [np.full((1, *tiling.tile), value, np.float32)] * len(tiling)
    np.testing.assert_allclose(blended(tiling, maps), value, rtol=1e-5)


def test_a_single_tile_is_returned_unchanged():
    tiling = plan_tiles((40, 50), 64, 0.25)
    (only,) = maps_of(tiling)
    np.testing.assert_allclose(blended(tiling, [only]), only, rtol=1e-6)


def test_blending_does_not_change_its_input():
    tiling = plan_tiles((60, 70), 32, 0.5)
    maps = maps_of(tiling)
    before = [each.copy() for each in maps]
    blended(tiling, maps)
    np.testing.assert_array_equal(maps, before)


def test_blended_tiles_do_not_change_afterwards():
    tiling = plan_tiles((90, 40), 32, 0.5)
    blend, yielded = Blend(tiling, 1), []
    for (top, left), each in zip(corners(tiling), maps_of(tiling, 1), strict=True):
        blended_tile = blend.add(top, left, each)
        yielded.append((blended_tile, blended_tile.copy()))
    assert all(np.array_equal(now, then) for now, then in yielded)


@pytest.mark.parametrize("size", [(1, 1), (8, 9), (64, 64), (31, 500)])
def test_the_window_is_symmetric_and_never_0(size):
    weights = blending_window(*size)
    assert weights.dtype == np.float32
    assert weights.min() >= 1e-3
    assert weights.max() <= 1
    np.testing.assert_allclose(weights, weights[::-1, ::-1], rtol=1e-6)
    middle = weights[(size[0] - 1) // 2]
    assert all(np.diff(middle[: (size[1] + 1) // 2]) >= 0)
    with pytest.raises(ValueError, match="read-only"):
        weights[0, 0] = 1


def test_the_window_is_gaussian_with_an_eighth_of_the_side():
    row = blending_window(65, 65)[32]
    np.testing.assert_allclose(row[32 + 8] / row[32], np.exp(-0.5 * (8 / (65 / 8)) ** 2), rtol=1e-5)


@given(shapes, st.integers(32, 100), overlaps, st.floats(0.125, 8))
def test_tiles_of_an_enlarged_slice_have_the_requested_size_for_the_network(
    shape, tile, overlap, zoom
):
    tiling = plan_tiles(shape, tile, overlap, zoom)
    for side, slice_side in zip(tiling.tile, shape, strict=True):
        assert side * zoom <= tile + zoom / 2 + 1e-6 or side == 1
        assert side == slice_side or side * zoom >= tile - zoom
