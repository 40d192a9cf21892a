from __future__ import annotations

import numpy as np
import pytest

from napari_emcad.inference.stage_maps.pca import fit_pca_colors, sample_pixels


@pytest.fixture
def features():
    """Return (6, 20, 30) features with three strong directions."""
    random = np.random.default_rng(1)
    mixed = random.standard_normal((6, 3)) @ np.diag([9, 4, 2])
    fields = random.standard_normal((3, 20 * 30))
    noise = random.standard_normal((6, 600)) * 0.01
    return (mixed @ fields + noise + 5).reshape(6, 20, 30).astype(np.float32)


def test_directions_have_the_largest_variance(features):
    colors = fit_pca_colors(sample_pixels(features))
    flat = features.reshape(6, -1)
    _, _, expected = np.linalg.svd((flat - flat.mean(1, keepdims=True)).T, full_matrices=False)
    alike = np.abs((colors.axes * expected[:3]).sum(1))
    np.testing.assert_allclose(alike, 1, atol=1e-4)
    variances = colors.project(features).reshape(3, -1).var(1)
    assert variances[0] > variances[1] > variances[2] > 0


def test_signs_do_not_depend_on_the_order_of_pixels(features):
    pixels = sample_pixels(features)
    turned = fit_pca_colors(pixels[::-1])
    np.testing.assert_allclose(fit_pca_colors(pixels).axes, turned.axes, atol=1e-5)
    assert all(axis[np.abs(axis).argmax()] > 0 for axis in turned.axes)


def test_colors_are_0_to_1_and_use_the_range(features):
    colors = fit_pca_colors(sample_pixels(features))
    rgb = colors.to_rgb(colors.project(features))
    assert rgb.shape == (3, 20, 30)
    assert rgb.dtype == np.float32
    np.testing.assert_allclose(rgb.min((1, 2)), 0)
    np.testing.assert_allclose(rgb.max((1, 2)), 1)


@pytest.mark.parametrize("size", [(1, 1), (4, 5)])
def test_features_that_do_not_vary_are_gray(size):
    flat = np.full((8, *size), 3.7, np.float32)
    colors = fit_pca_colors(sample_pixels(flat))
    np.testing.assert_array_equal(colors.to_rgb(colors.project(flat)), 0.5)


def test_projection_and_blending_commute(features):
    colors = fit_pca_colors(sample_pixels(features))
    mean = colors.project(0.3 * features + 0.7 * features[:, ::-1])
    both = 0.3 * colors.project(features) + 0.7 * colors.project(features[:, ::-1])
    np.testing.assert_allclose(mean, both, rtol=1e-4, atol=1e-3)
