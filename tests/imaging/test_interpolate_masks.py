"""Slices between two slices of an object are filled by interpolating its shape."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_emcad.imaging.interpolate_masks import gaps, interpolate_masks


def disc(radius, center=(32, 32), shape=(64, 64)):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return (y - center[0]) ** 2 + (x - center[1]) ** 2 <= radius**2


@given(st.integers(3, 12), st.integers(3, 12), st.integers(1, 6))
def test_the_radius_of_discs_changes_linearly(first, last, count):
    for n, mask in enumerate(interpolate_masks(disc(first), disc(last), count), start=1):
        radius = first + (last - first) * n / (count + 1)
        assert np.sqrt(mask.sum() / np.pi) == pytest.approx(radius, abs=0.8)


def test_a_shape_that_does_not_change_stays():
    mask = disc(9, (20, 30)) | disc(5, (40, 40))
    for between in interpolate_masks(mask, mask, 3):
        np.testing.assert_array_equal(between, mask)


def test_an_object_that_moves_without_overlap_lies_between():
    first, last = disc(5, (12, 12)), disc(5, (48, 52))
    [middle] = interpolate_masks(first, last, 1)
    assert np.argwhere(middle).mean(0) == pytest.approx((30, 32), abs=0.6)
    assert middle.sum() == pytest.approx(first.sum(), rel=0.2)


@given(st.lists(st.booleans(), max_size=12))
def test_gaps_lie_between_neighboring_occupied_slices(occupied):
    found = gaps(np.array(occupied, bool))
    for one, other in found:
        assert occupied[one]
        assert occupied[other]
        assert not any(occupied[one + 1 : other])
        assert other - one > 1
    inner = "".join("x" if one else " " for one in occupied).strip().split("x")
    assert len(found) == sum(1 for part in inner if part)
