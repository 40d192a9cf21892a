"""Images outside of the range that a model expects are named; all others are not."""

from __future__ import annotations

import numpy as np
import pytest

from napari_emcad.imaging import slices as slices_module
from napari_emcad.imaging.exposure import range_mismatch
from napari_emcad.imaging.intensity import Preprocessing
from napari_emcad.imaging.scope import Scope
from napari_emcad.imaging.slices import as_slices

BYTES = Preprocessing()
HOUNSFIELD = Preprocessing(low=-125, high=275)
WORDS = Preprocessing(high=65535)
UNIT = Preprocessing(high=1)
AS_IS = Preprocessing("none")

RNG = np.random.default_rng(0)
Y, X = np.mgrid[:96, :128]
SPOTS = np.maximum(0, 1 - ((Y % 32 - 16) ** 2 + (X % 32 - 16) ** 2) / 90)
NOISE = RNG.normal(0, 1, SPOTS.shape)
PHOTO = (30 + 200 * SPOTS + 5 * NOISE).clip(0, 255).astype(np.uint8)
CT = np.where(SPOTS > 0, 40 + 20 * NOISE, -1000.0)
CT[SPOTS > 0.8] = 1200


def mismatch(image, how=BYTES, axes="YX", **options):
    return range_mismatch(as_slices(image, 3, axes, **options), how)


@pytest.mark.parametrize(
    ("image", "how"),
    [
        (PHOTO / np.float32(255), BYTES),
        (PHOTO.astype(np.uint16) * 257, BYTES),
        (PHOTO.astype(np.uint16) * 16, BYTES),
        (CT.astype(np.int16), BYTES),
        (CT.astype(np.float32), UNIT),
        ((PHOTO - PHOTO.mean()) / PHOTO.std(), BYTES),
        (PHOTO - 1000.0, BYTES),
        (PHOTO, UNIT),
        (PHOTO / 255, HOUNSFIELD),
        (PHOTO.astype(np.uint16) * 257, HOUNSFIELD),
        (PHOTO, WORDS),
        (PHOTO, AS_IS),
        (PHOTO.astype(np.uint16) * 257, AS_IS),
    ],
)
def test_an_image_outside_of_the_range_is_named(image, how):
    message = mismatch(image, how)
    assert f"{image.min():.4g} … {image.max():.4g}" in message
    assert "the model expects" in message
    assert "percentile" in message


@pytest.mark.parametrize(
    ("image", "how"),
    [
        (PHOTO, BYTES),
        (PHOTO // 12, BYTES),
        (PHOTO // 100, BYTES),
        (PHOTO.astype(float), BYTES),
        (PHOTO.astype(np.uint16), BYTES),
        ((4 * SPOTS + 9).astype(np.uint16), BYTES),
        (PHOTO > 100, BYTES),
        (np.where(SPOTS > 0.9, 20.0, 0.5), BYTES),
        (255 - 255 * (SPOTS > 0.9).astype(float), BYTES),
        (PHOTO * 0.9 - 20, BYTES),
        (np.where(SPOTS > 0.999, np.uint16(4000), PHOTO), BYTES),
        (PHOTO / 255, UNIT),
        (PHOTO / 255 * 1.02, UNIT),
        (CT.astype(np.int16), HOUNSFIELD),
        (np.full((60, 70), -1000, np.int16), HOUNSFIELD),
        (PHOTO.astype(np.uint16) * 16, WORDS),
        (PHOTO.astype(np.uint16) * 257, WORDS),
        (PHOTO / 255, AS_IS),
        (np.zeros((60, 70), np.float32), BYTES),
        (np.full((60, 70), 9000, np.uint16), BYTES),
        (np.full((60, 70), np.nan), BYTES),
        (PHOTO / np.float32(255), Preprocessing("percentile", 1, 99)),
        (PHOTO, Preprocessing("none", mean=(0,), std=(1,))),
    ],
)
def test_a_dark_empty_or_clipped_image_is_not(image, how):
    assert mismatch(image, how) == ""


def test_empty_slices_do_not_hide_or_cause_a_mismatch():
    volume = np.stack([np.full_like(CT, -1000)] * 3 + [CT] * 5)
    assert not mismatch(volume, HOUNSFIELD, "ZYX")
    assert not mismatch(volume, HOUNSFIELD, "ZYX", scope=Scope(0))
    floats = np.stack([np.zeros_like(SPOTS)] * 3 + [SPOTS] * 5)
    assert mismatch(floats, BYTES, "ZYX")
    assert not mismatch(floats * 255, BYTES, "ZYX", scope=Scope(0))


def test_a_dark_corner_is_not_the_image():
    image = np.zeros((64, 64), np.float32)
    image[32:] = 200
    assert not mismatch(image, scope=Scope((), (0, 20), (0, 20)))


def test_values_that_are_not_finite_do_not_count():
    image = PHOTO.astype(float)
    image[:5], image[5:9] = np.nan, np.inf
    assert not mismatch(image)
    assert mismatch(image / 255)


def test_of_a_large_slice_some_blocks_are_read(monkeypatch):
    monkeypatch.setattr(slices_module, "_SAMPLE", 1_000)
    assert mismatch(np.tile(SPOTS, (8, 6)))
    assert not mismatch(np.tile(PHOTO, (8, 6)).astype(np.uint16))


def test_every_slice_of_an_array_in_memory_is_looked_at():
    """An out-of-focus start lies in the range of the model, the rest does not."""
    stack = np.full((3, 40, 40), 112, np.uint16)
    stack[1:] = np.linspace(0, 40_350, 1600).reshape(40, 40)
    slices = as_slices(stack, 3, "ZYX")
    assert range_mismatch(slices, Preprocessing("range", 0.0, 255.0))


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize(
    ("image", "how", "hot"),
    [
        (PHOTO / np.float32(255), BYTES, 300.0),
        (PHOTO.astype(np.uint16), WORDS, 60_000),
        (PHOTO / 255, HOUNSFIELD, 3000.0),
    ],
)
def test_hot_pixels_hide_nothing(image, how, hot, count):
    spoiled = image.copy()
    spoiled[5, 7 : 7 + 3 * count : 3] = hot
    message = mismatch(spoiled, how)
    assert message.split(":")[1] == mismatch(image, how).split(":")[1]
    assert f"{image.min():.4g} … {hot:.4g}" in message


def test_an_empty_image_with_hot_pixels_is_not_named():
    image = np.zeros((96, 128), np.float32)
    image[40, 50] = 1
    assert not mismatch(image)
