from __future__ import annotations

import numpy as np
import pytest

from napari_emcad.imaging import slices as slices_module
from napari_emcad.imaging.slices import as_slices


class Counting:
    """An image that exists only where it is indexed, and counts the pixels that are read."""

    def __init__(self, shape, dtype=np.uint16):
        self.shape, self.dtype = shape, np.dtype(dtype)
        self.reads = []

    def __getitem__(self, key):
        assert len(key) == len(self.shape)
        spans = [k.indices(n) for k, n in zip(key, self.shape, strict=True) if isinstance(k, slice)]
        shape = [len(range(*each)) for each in spans]
        self.reads.append(int(np.prod(shape)))
        return np.zeros(shape, self.dtype)

    def __array__(self, *args, **kwargs):
        raise AssertionError("the whole image was read")


@pytest.mark.parametrize(("shape", "axes"), [((9, 7, 64, 80), "TZYX"), ((64, 9, 80, 3), "YZXC")])
def test_a_slice_is_read_alone_and_once(shape, axes):
    image = Counting(shape)
    slices = as_slices(image, 3, axes)
    for index in slices.indices:
        slices.read(index)
    planes = len(slices.channels.planes)
    assert image.reads == [64 * 80 * planes] * len(slices.indices)


def test_rows_are_read_without_the_rest():
    image = Counting((50, 1000, 60))
    as_slices(image, 1).read((3,), (100, 150))
    assert image.reads == [50 * 60]


@pytest.mark.parametrize("channels", [(7,), (0, 1, 39), (39, None, 0)])
def test_channels_that_were_not_chosen_are_not_read(channels):
    image = Counting((40, 64, 80))
    slices = as_slices(image, len(channels), "CYX", channels)
    slices.read(())
    assert sum(image.reads) == 64 * 80 * len(slices.channels.planes)


def test_a_huge_slice_is_sampled_band_by_band_and_thinly(monkeypatch):
    monkeypatch.setattr(slices_module, "_SAMPLE", 10_000)
    image = Counting((3, 2000, 100), np.float32)
    slices = as_slices(image, 1, "ZYX")
    assert not slices.fits_in_memory
    sample = slices.sample((1,))
    assert sum(image.reads) == 2000 * 100
    assert max(image.reads) <= 10_000
    assert 5_000 <= sample.size <= 11_000


def test_a_huge_slice_is_sampled_everywhere(monkeypatch):
    monkeypatch.setattr(slices_module, "_SAMPLE", 10_000)
    rows, columns = np.mgrid[:200, :1000]
    for ramp in (rows, columns):
        sample = as_slices(ramp.astype(np.uint16), 1).sample(())
        found = np.percentile(sample, (1, 25, 50, 75, 99)) / ramp.max()
        np.testing.assert_allclose(found, (0.01, 0.25, 0.5, 0.75, 0.99), atol=0.02)
