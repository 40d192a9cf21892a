"""Features of pixels agree with scipy's Gaussian filters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_emcad.model.pixel_features import COARSE_WIDTH, FINE_WIDTH, pixel_features


@pytest.fixture(scope="module")
def image():
    noise = np.random.default_rng(0).random((3, 64, 96))
    return np.stack([ndimage.gaussian_filter(channel, 2) for channel in noise]).astype(np.float32)


def filtered(plane, sigma, order):
    return ndimage.gaussian_filter(plane, sigma, order=order, mode="mirror", truncate=5)


def test_shapes_and_widths(image):
    fine, coarse = pixel_features(torch.from_numpy(image)[None])
    assert fine.shape == (1, FINE_WIDTH, 64, 96)
    assert coarse.shape == (1, COARSE_WIDTH, 16, 24)
    np.testing.assert_array_equal(fine[0, :3].numpy(), image)


@pytest.mark.parametrize(("sigma", "start"), [(0.7, 3), (1.5, 9)])
def test_smoothed_colors_slope_and_curvature(image, sigma, start):
    fine = pixel_features(torch.from_numpy(image)[None])[0][0].numpy()[start : start + 6]
    inner = np.s_[8:-8, 8:-8]
    for channel in range(3):
        expected = filtered(image[channel], sigma, 0)
        np.testing.assert_allclose(fine[channel][inner], expected[inner], atol=2e-3)
    gray = image.mean(0)
    dy, dx = filtered(gray, sigma, (1, 0)), filtered(gray, sigma, (0, 1))
    np.testing.assert_allclose(fine[3][inner], (sigma * np.hypot(dx, dy))[inner], atol=5e-3)
    xx, yy, xy = (filtered(gray, sigma, order) for order in ((0, 2), (2, 0), (1, 1)))
    hessian = np.moveaxis(np.array([[xx, xy], [xy, yy]]), (0, 1), (-2, -1))
    low, high = np.moveaxis(sigma**2 * np.linalg.eigvalsh(hessian), -1, 0)
    np.testing.assert_allclose(fine[4][inner], high[inner], atol=1e-2)
    np.testing.assert_allclose(fine[5][inner], low[inner], atol=1e-2)


def test_a_constant_image_has_no_slope_and_no_curvature():
    fine, coarse = pixel_features(torch.full((1, 3, 32, 32), 0.4))
    for maps, starts in ((fine, (6, 12)), (coarse, (3, 9))):
        for start in starts:
            assert maps[0, start : start + 3].abs().max() < 1e-5
