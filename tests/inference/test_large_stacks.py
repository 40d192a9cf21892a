from __future__ import annotations

import threading
import tracemalloc
from itertools import islice

import dask.array
import numpy as np
import pytest

from napari_emcad import InferenceSettings, segment
from napari_emcad.imaging import slices as slices_module
from napari_emcad.pipelines.segment import segment_job, slices_for


class Generated:
    """A stack that exists only where it is indexed; slice z has (z + column) % 7 everywhere."""

    dtype = np.dtype(np.uint16)

    def __init__(self, *shape):
        self.shape = shape
        self.read = []

    def __getitem__(self, key):
        *stacked, rows, columns = key
        height, width = len(range(self.shape[-2])[rows]), range(self.shape[-1])[columns]
        self.read.append(height * len(width))
        line = ((sum(stacked) + np.asarray(width)) % 7).astype(np.uint16)
        return np.broadcast_to(line, (height, len(width)))

    def __array__(self, *args, **kwargs):
        raise AssertionError("the whole stack was read")


@pytest.fixture
def above_3(instead):
    """Make pixels above 3 the object."""
    instead(lambda real, network, x, head: x[:, :1] - 3)


@pytest.mark.parametrize("how", [{}, {"intensity": "percentile", "low": 0, "high": 99}], ids=str)
def test_every_slice_is_read_alone(as_it_is, above_3, how):
    stack = Generated(40, 48, 64)
    segment(stack, as_it_is.override(**how), tile=32)
    assert stack.read == [48 * 64] * 40


def test_two_thousand_slices_need_no_more_memory_than_two_hundred(as_it_is, above_3):
    def beyond_the_labels(count):
        stack = Generated(count, 64, 64)
        tracemalloc.start()
        labels = segment(stack, as_it_is, batch=16).labels
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert labels[count - 1, 5].tolist() == [(count - 1 + x) % 7 > 3 for x in range(64)]
        return peak - labels.nbytes

    beyond_the_labels(20)  # what the first run imports
    few, many = beyond_the_labels(200), beyond_the_labels(2000)
    assert many < few + 500_000


def test_a_stack_of_a_million_slices_starts_at_once(as_it_is, above_3):
    slices = slices_for(Generated(10**6, 8, 9), as_it_is)
    job = segment_job(slices, as_it_is, InferenceSettings(batch=2), threading.Event())
    tracemalloc.start()
    progress, region, *_ = islice(job, 4)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    job.close()
    assert (progress.done, progress.total) == (0, 10**6)
    assert region.where == (0, slice(0, 8), slice(0, 9))
    assert peak < 50_000_000


def test_a_percentile_over_a_huge_stack_reads_few_slices(as_it_is, above_3):
    how = as_it_is.override(intensity="percentile", low=0, high=100, over="stack")
    stack = Generated(10**6, 40, 40)
    job = segment_job(slices_for(stack, how), how, InferenceSettings(batch=1), threading.Event())
    list(islice(job, 3))
    job.close()
    assert len(stack.read) <= 70


@pytest.fixture
def small_slices(monkeypatch):
    """Make a slice huge from 1,000 pixels on."""
    monkeypatch.setattr(slices_module, "_SAMPLE", 1000)


def test_a_huge_slice_is_read_in_bands(as_it_is, above_3, small_slices):
    image = Generated(400, 90)
    found = segment(image, as_it_is, tile=32, overlap=0.25)
    assert max(image.read) <= 32 * 90
    np.testing.assert_array_equal(found.labels, np.asarray(image[:, :]) > 3)


@pytest.mark.parametrize("intensity", ["none", "range"])
def test_a_huge_slice_is_not_sampled_for_a_fixed_range(as_it_is, above_3, small_slices, intensity):
    image = Generated(400, 90)
    segment(image, as_it_is.override(intensity=intensity), tile=40, overlap=0)
    assert sum(image.read) == 400 * 90


def test_a_huge_slice_is_stretched_like_a_small_one(as_it_is, instead, monkeypatch):
    instead(lambda real, network, x, head: x[:, :1].clone())
    how = as_it_is.override(intensity="percentile", low=0, high=100)
    image = np.random.default_rng(0).random((300, 120))
    small = segment(image, how, tile=64, probabilities=True).probabilities
    monkeypatch.setattr(slices_module, "_SAMPLE", 5000)
    huge = segment(image, how, tile=64, probabilities=True).probabilities
    np.testing.assert_allclose(huge, small, atol=0.01)


def test_the_blocks_of_a_dask_array_are_computed_once(as_it_is, above_3):
    computed = []

    def block(block_info):
        computed.append(block_info[None]["chunk-location"])
        return np.full((1, 48, 64), 5, np.uint16)

    stack = dask.array.map_blocks(block, chunks=((1,) * 12, (48,), (64,)), dtype=np.uint16)
    labels = segment(stack, as_it_is, tile=32).labels
    assert labels.all()
    assert sorted(computed) == [(z, 0, 0) for z in range(12)]
