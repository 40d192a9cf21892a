"""Objects are split along lines and around points."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.measure import label

from napari_emcad.imaging.split_object import split_along_line, split_at_points


def discs(*centers, radius=10, shape=(60, 80)):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.any([(y - cy) ** 2 + (x - cx) ** 2 <= radius**2 for cy, cx in centers], axis=0)


TWO = discs((30, 30), (30, 48))


def cuts(mask, start, end):
    with suppress(ValueError):
        split_along_line(mask, start, end)
        return True
    return False


@given(
    st.tuples(st.integers(0, 59), st.integers(0, 29)),
    st.tuples(st.integers(0, 59), st.integers(50, 79)),
)
def test_parts_of_a_line_cover_the_object_and_do_not_touch_across_it(start, end):
    mask = np.zeros((60, 80), bool)
    mask[10:50, 10:70] = True
    parts = split_along_line(mask, start, end) if cuts(mask, start, end) else mask.astype(int)
    assert ((parts > 0) == mask).all()
    sizes = np.bincount(parts.ravel())[1:]
    assert (np.diff(sizes) <= 0).all()  # the largest part comes first
    for k in range(1, parts.max() + 1):
        assert label(parts == k, connectivity=1).max() == 1


@pytest.mark.parametrize(("start", "end"), [((10, 39), (50, 39)), ((50, 39.4), (-5, 38.6))])
def test_a_line_between_two_discs_separates_them(start, end):
    parts = split_along_line(TWO, start, end)
    assert parts.max() == 2
    assert parts[30, 30] != parts[30, 48]


def test_a_diagonal_line_cuts_as_well():
    mask = np.zeros((40, 40), bool)
    mask[5:35, 5:35] = True
    assert split_along_line(mask, (0, 0), (39, 39)).max() == 2


@pytest.mark.parametrize("line", [((0, 0), (5, 5)), ((30, 30), (30, 34)), ((-9, -9), (-5, 80))])
def test_a_line_that_does_not_cut_is_refused(line):
    with pytest.raises(ValueError, match="does not cut the object"):
        split_along_line(TWO, *line)


def test_points_cut_at_the_neck():
    parts = split_at_points(TWO, [(30, 28), (31, 50)])
    assert ((parts > 0) == TWO).all()
    assert (parts[:, :38] > 0).sum() == (parts[:, :38] == parts[30, 28]).sum()
    assert (parts[:, 41:] > 0).sum() == (parts[:, 41:] == parts[31, 50]).sum()


def test_three_points_give_three_parts_and_areas_apart_stay_with_the_first():
    mask = discs((20, 15), (20, 30), (20, 45), (50, 70), radius=9)
    parts = split_at_points(mask, [(20, 15), (20, 30), (20, 45)])
    assert parts.max() == 3
    assert parts[50, 70] == parts[20, 15]


@pytest.mark.parametrize("points", [[(30, 30), (0, 0)], [(30, 30), (90, 3)]])
def test_points_outside_are_refused(points):
    with pytest.raises(ValueError, match="inside of the object"):
        split_at_points(TWO, points)


def test_two_points_on_one_pixel_are_refused():
    with pytest.raises(ValueError, match="two different places"):
        split_at_points(TWO, [(30, 30), (30.2, 29.9)])
