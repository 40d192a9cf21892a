from __future__ import annotations

import numpy as np
import pytest

from napari_emcad.imaging.overlay import overlay

RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.fixture
def labels():
    labels = np.zeros((40, 50), np.uint8)
    labels[5:15, 5:15], labels[20:35, 20:40] = 1, 2
    return labels


@pytest.fixture
def gray():
    return np.random.default_rng(0).integers(0, 4000, (1, 40, 50)).astype(np.uint16)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int32, np.uint64, np.float32, np.float64])
@pytest.mark.parametrize("planes", [1, 2, 3, 5])
def test_it_is_an_rgb_image_of_the_slices_size(labels, dtype, planes):
    image = (np.random.default_rng(0).random((planes, 40, 50)) * 100).astype(dtype)
    drawn = overlay(image, labels, ["#ff0000", "#0000ff"])
    assert (drawn.shape, drawn.dtype) == ((40, 50, 3), np.uint8)


def test_background_shows_the_image_from_black_to_white(labels, gray):
    drawn = overlay(gray, labels, ["#ff0000"])
    bare = overlay(gray, np.zeros_like(labels), ["#ff0000"])
    np.testing.assert_array_equal(drawn[labels == 0], bare[labels == 0])
    assert (bare == bare[..., :1]).all()
    low, high = np.percentile(gray, (0.5, 99.5))
    expected = np.clip((gray[0] - low) / (high - low), 0, 1) * 255
    np.testing.assert_allclose(bare[..., 0], expected, atol=0.51)


def test_borders_have_the_color_and_the_inside_a_tint_of_it(labels, gray):
    drawn = overlay(gray, labels, ["#ff0000", "#0000ff"])
    assert tuple(drawn[5, 5]) == RED
    assert tuple(drawn[20, 30]) == BLUE
    bare = overlay(gray, np.zeros_like(labels), ["#ff0000"]).astype(float)
    np.testing.assert_allclose(drawn[10, 10], bare[10, 10] * 0.75 + np.array(RED) / 4, atol=1)


@pytest.mark.parametrize("number", [1, 3, 5, 255, 70_001])
def test_colors_come_again_from_the_start(gray, number):
    labels = np.full((40, 50), number, np.uint32)
    labels[:3] = 0
    drawn = overlay(gray, labels, ["#ff0000", "#0000ff"])
    assert tuple(drawn[3, 10]) == (RED if number % 2 else BLUE)


def test_three_planes_are_shown_in_color(labels):
    image = np.zeros((3, 40, 50), np.uint8)
    image[1, :, 25:] = 200
    drawn = overlay(image, np.zeros_like(labels), ["#ff0000"])
    assert tuple(drawn[0, 0]) == (0, 0, 0)
    assert tuple(drawn[0, 49]) == (0, 255, 0)


@pytest.mark.parametrize("fill", [0, 7, np.nan, np.inf])
def test_an_image_without_contrast_is_black(labels, fill):
    drawn = overlay(np.full((1, 40, 50), fill, np.float32), labels, ["#ffffff"])
    assert not drawn[labels == 0].any()


def test_image_and_labels_are_not_changed(labels, gray):
    image_before, labels_before = gray.copy(), labels.copy()
    overlay(gray, labels, ["#ff0000"])
    np.testing.assert_array_equal(gray, image_before)
    np.testing.assert_array_equal(labels, labels_before)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1)])
def test_the_smallest_slices_can_be_drawn(size):
    drawn = overlay(np.ones((1, *size)), np.ones(size, np.uint8), ["#102030"])
    assert drawn.shape == (*size, 3)
