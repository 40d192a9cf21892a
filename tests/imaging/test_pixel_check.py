"""Pixels that are no numbers, or all one, are noticed from a sample."""

from __future__ import annotations

import numpy as np
import pytest

from napari_emcad.imaging.pixel_check import PixelCheck


def checked(*arrays):
    check = PixelCheck()
    for array in arrays:
        check.add(np.asarray(array))
    return check


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, bool, np.float32])
def test_a_constant_image_is_named_by_its_value(dtype):
    assert checked(np.ones((1, 9, 9), dtype)).message == "All pixels have one value (1)."


def test_one_other_pixel_outside_of_the_sample_is_enough():
    pixels = np.zeros((1, 1001, 1001), np.uint8)
    pixels[0, 1, 1] = 1
    assert checked(pixels).message == ""


def test_parts_of_different_values_are_not_constant():
    assert checked(np.zeros((1, 4, 4)), np.ones((1, 4, 4))).message == ""


def test_a_color_without_structure_is_constant():
    color = np.broadcast_to(np.array([255, 0, 9], np.uint8)[:, None, None], (3, 8, 8))
    assert checked(color).message == "All pixels have one value (255, 0, 9)."


@pytest.mark.parametrize(
    ("row", "message", "mostly"),
    [
        ([np.nan] * 4, "Of the pixels, all are NaN: replace them by numbers.", True),
        ([np.inf, -np.inf, np.nan, np.nan], "50% are NaN and 50% are infinite", True),
        ([np.nan, 1, 2, 3], "25% are NaN", False),
        ([np.nan, *range(19)], "", False),
    ],
)
def test_pixels_that_are_no_numbers_are_counted(row, message, mostly):
    check = checked(np.tile(np.array(row, np.float32), (1, 5, 1)))
    assert message in check.message
    assert bool(message) == bool(check.message)
    assert check.mostly_not_finite is mostly


def test_half_floats_and_nothing_at_all():
    assert "NaN" in checked(np.full((1, 300, 300), np.nan, np.float16)).message
    assert checked(np.zeros((1, 0, 4))).message == ""
    assert checked().message == ""


def test_few_pixels_of_a_large_image_are_counted():
    check = checked(np.full((3, 2000, 2000), np.nan, np.float32))
    assert check._counted < 2**17
