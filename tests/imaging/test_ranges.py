"""The numbers that a network gets for a pixel do not depend on the part that was asked for."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from napari_emcad.imaging import ranges as ranges_module
from napari_emcad.imaging import slices as slices_module
from napari_emcad.imaging.intensity import Preprocessing
from napari_emcad.imaging.range_cache import RangeCache
from napari_emcad.imaging.ranges import intensity_ranges, training_planes
from napari_emcad.imaging.scope import Scope
from napari_emcad.imaging.slices import as_slices
from napari_emcad.inference.patches import Preprocessor

PERCENTILES = Preprocessing("percentile", 1, 99, mean=(0.0,), std=(1.0,))


def brightening(slices=6, height=70, width=90):
    """Return a stack (Z, Y, X) whose slices and columns differ in brightness."""
    z, y, x = np.mgrid[:slices, :height, :width]
    noise = np.random.default_rng(0).normal(0, 5, z.shape)
    return (100 + 200 * z + 30 * x + noise + y).astype(np.uint16)


@pytest.mark.parametrize("over", ["slice", "stack"])
@pytest.mark.parametrize("scope", [Scope(2), Scope(2, (10, 40), (50, 90)), Scope(None, (0, 9))])
def test_a_part_has_the_intensities_of_the_whole(over, scope):
    image, how = brightening(), replace(PERCENTILES, over=over)
    whole = Preprocessor(as_slices(image, 3, "ZYX"), how)
    part = Preprocessor(as_slices(image, 3, "ZYX", scope=scope), how)
    rows, columns = scope.rows or (0, 70), scope.columns or (0, 90)
    for number, index in enumerate(part.slices.indices):
        (band,) = part.bands(number, [(0, part.slices.height)])
        (expected,) = whole.bands(index[0], [(0, 70)])
        np.testing.assert_array_equal(band, expected[:, slice(*rows), slice(*columns)])


@pytest.mark.parametrize("over", ["slice", "stack"])
def test_training_and_segmenting_see_the_same_intensities(over):
    image, how = brightening(), replace(PERCENTILES, over=over)
    slices = as_slices(image, 3, "ZYX")
    preprocessor = Preprocessor(slices, how)
    for number, index in enumerate(slices.indices):
        (band,) = preprocessor.bands(number, [(0, 70)])
        planes = training_planes(slices, index, how)
        np.testing.assert_array_equal(np.broadcast_to(planes, band.shape), band)
        window = training_planes(slices, index, how, (5, 30), (8, 61))
        np.testing.assert_array_equal(window, planes[:, 5:30, 8:61])


@pytest.mark.parametrize("over", ["slice", "stack"])
def test_a_large_slice_has_one_range_for_all_bands(over, monkeypatch):
    monkeypatch.setattr(slices_module, "_SAMPLE", 2_000)
    image, how = brightening(), replace(PERCENTILES, over=over)
    slices = as_slices(image, 1, "ZYX")
    assert not slices.fits_in_memory
    whole = training_planes(slices, (3,), how)
    bands = Preprocessor(slices, how).bands(3, [(0, 20), (20, 70)])
    np.testing.assert_array_equal(np.concatenate(list(bands), axis=1), whole)


def test_a_huge_slice_is_sampled_in_evenly_spaced_bands(monkeypatch):
    monkeypatch.setattr(slices_module, "_SAMPLE", 1_000)
    monkeypatch.setattr(slices_module, "_MOST_READ", 4_000)
    ramp = np.mgrid[:2000, :50][0].astype(np.uint16)
    sample = as_slices(ramp, 1).sample(())
    assert sample.size <= 1_100
    found = np.percentile(sample, (1, 50, 99)) / ramp.max()
    np.testing.assert_allclose(found, (0.01, 0.5, 0.99), atol=0.04)


@pytest.mark.parametrize("over", ["slice", "stack"])
def test_coarse_levels_have_the_range_of_the_finest(over):
    fine, how = brightening(8, 64, 64), replace(PERCENTILES, over=over)
    coarse = fine[::2, ::4, ::4]
    levels = as_slices(fine, 1, "ZYX"), as_slices(coarse, 1, "ZYX", finest=fine)
    fine_range = intensity_ranges(levels[0], (5,), how)
    assert intensity_ranges(levels[1], (2,), how) == fine_range
    assert intensity_ranges(as_slices(coarse, 1, "ZYX"), (2,), how) != fine_range


def test_ranges_are_computed_once_per_image(monkeypatch):
    computed = []
    count = ranges_module.value_range
    monkeypatch.setattr(
        ranges_module, "value_range", lambda *given: computed.append(1) or count(*given)
    )
    image, cache = brightening(), RangeCache()
    for over, scope in product(("slice", "stack"), (None, Scope(1), Scope(1, (3, 30)))):
        slices = as_slices(image, 1, "ZYX", scope=scope, ranges=cache)
        intensity_ranges(slices, (1,), replace(PERCENTILES, over=over))
    assert len(computed) == 2
    image[:] = 7  # as live acquisition does
    assert intensity_ranges(slices, (1,), PERCENTILES) == ((7.0, 7.0),)


STAINS = np.stack([np.linspace(0, 60000, 48 * 64), np.linspace(40, 90, 48 * 64)])
STAINS = STAINS.reshape(2, 48, 64).astype(np.uint16)


@pytest.mark.parametrize("over", ["slice", "stack"])
def test_a_dim_stain_is_normalized_beside_a_bright_one(over):
    image = np.stack([STAINS, STAINS])
    slices = as_slices(image, 3, "ZCYX", (0, 1, None))
    planes = training_planes(slices, (1,), replace(PERCENTILES, over=over))
    for plane in planes[:2]:
        assert plane.min() == 0
        assert plane.max() == 1
        assert 0.4 < plane.mean() < 0.6
    assert not planes[2].any()


@pytest.mark.parametrize(
    ("axes", "channels", "pool", "pooled"),
    [
        ("YXC", None, "color", True),
        ("YXC", (2, 1, 0), "color", True),
        ("YXC", (0, 1, None), "color", False),
        ("YXC", None, "none", False),
        ("CYX", (0, 1, 2), "color", False),
        ("CYX", (0, 1, 2), "all", True),
    ],
)
def test_only_the_channels_of_a_color_picture_share_a_range(axes, channels, pool, pooled):
    image = np.random.default_rng(0).integers(0, 12, (40, 50, 3)) * [1, 5, 20]
    image = (image if axes == "YXC" else np.moveaxis(image, -1, 0)).astype(np.uint8)
    slices = as_slices(image, 3, axes, channels)
    ranges = intensity_ranges(slices, (), replace(PERCENTILES, pool_channels=pool))
    assert len(ranges) == (1 if pooled else len(slices.channels.planes))


def test_large_slices_have_a_range_per_channel_too(monkeypatch):
    monkeypatch.setattr(slices_module, "_SAMPLE", 1_000)
    slices = as_slices(STAINS, 3, "CYX", (0, 1, None))
    (low, high), (dim_low, dim_high) = intensity_ranges(slices, (), PERCENTILES)
    np.testing.assert_allclose((low, high), (600, 59400), rtol=0.1)
    np.testing.assert_allclose((dim_low, dim_high), (40.5, 89.5), atol=1.5)


def test_an_empty_input_stays_empty_in_training():
    slices = as_slices(STAINS, 3, "CYX", (0, None, None))
    planes = Preprocessor(slices, PERCENTILES).planes((), (0, 48), (0, 64))
    assert planes.shape == (3, 48, 64)
    assert not planes[1:].any()


def test_a_file_without_pooling_is_read_as_it_was_meant():
    old = {"intensity": "percentile", "low": 1, "high": 99}
    assert Preprocessing.from_dict(old).pool_channels == "all"
    assert Preprocessing.from_dict(old | {"pool_channels": "none"}).pool_channels == "none"
    with pytest.raises(ValueError, match="pool_channels must be"):
        Preprocessing(pool_channels="some")


@pytest.mark.parametrize(
    ("dtype", "axes", "color"),
    [
        (np.uint8, "YXC", True),
        (np.float32, "YXC", True),
        (np.uint16, "YXC", False),
        (np.int32, "YXC", False),
        (np.uint8, "CYX", False),
    ],
)
def test_only_bytes_and_floats_are_color_pictures(dtype, axes, color):
    shape = (30, 40, 3) if axes == "YXC" else (3, 30, 40)
    assert as_slices(np.zeros(shape, dtype), 3, axes, (0, 1, 2)).is_color_picture == color


@pytest.mark.parametrize("change", ["odd pixels", "a small spot"])
def test_any_change_in_place_is_noticed(change):
    image = np.arange(1024, dtype=np.uint16).reshape(32, 32) % 100
    image = np.tile(image, (6, 6))
    slices = as_slices(image, 3, "YX")
    before = intensity_ranges(slices, (), PERCENTILES)
    if change == "odd pixels":
        image[1::2, 1::2] = 5000
    else:
        image[60:90, 60:90] = 4000
    after = intensity_ranges(slices, (), PERCENTILES)
    fresh = intensity_ranges(as_slices(image.copy(), 3, "YX"), (), PERCENTILES)
    assert after == fresh != before
