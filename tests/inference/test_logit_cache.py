"""Labels that are computed again from kept logits are those that a new job would give."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emcad.imaging.regions import CleanUp
from napari_emcad.imaging.scope import Scope
from napari_emcad.inference.events import InferenceSettings, Region
from napari_emcad.inference.logit_cache import LogitCache
from napari_emcad.pipelines.segment import segment, segment_job, slices_for


@pytest.fixture(scope="module")
def image():
    rng = np.random.default_rng(5)
    return rng.integers(0, 255, (3, 96, 80), np.uint8)


def cached(image, model, axes, scope=None, limit=2**28, tile=64, **options):
    slices = slices_for(image, model, axes, scope=scope)
    cache = LogitCache(slices, limit)
    job = segment_job(
        slices, model, InferenceSettings(tile=tile, logits=True, **options), threading.Event()
    )
    for event in job:
        if isinstance(event, Region):
            cache.add(event)
    return cache


@pytest.fixture(scope="module")
def binary(tiny_checkpoint):
    return tiny_checkpoint


@pytest.fixture(scope="module")
def caches(image, binary):
    return {
        axes: cached(np.moveaxis(image, (0, 1, 2), order), binary, axes) for axes, order in _AXES
    }


_AXES = (("ZYX", (0, 1, 2)), ("XZY", (1, 2, 0)))

CLEAN_UPS = st.builds(
    CleanUp,
    fill_holes=st.sampled_from([0, 20]),
    smallest_object=st.sampled_from([0, 12]),
    largest_component=st.booleans(),
    separate=st.booleans(),
    neck=st.sampled_from([1, 9]),
)


@settings(max_examples=15)
@given(st.sampled_from([0.05, 0.5, 0.52, 0.9]), st.booleans(), CLEAN_UPS, st.sampled_from(_AXES))
def test_labels_are_those_of_a_new_job(image, binary, caches, threshold, stretch, clean_up, layout):
    axes, order = layout
    moved = np.moveaxis(image, (0, 1, 2), order)
    options = {"threshold": threshold, "stretch": stretch, "clean_up": clean_up}
    expected = segment(moved, binary, axes, tile=64, **options)
    cache, total, labels = caches[axes], 0, np.zeros(moved.shape, np.int64)
    assert cache.complete
    for index in cache.indices:
        region, classes = cache.relabel(index, InferenceSettings(**options), total)
        total += len(classes)
        labels[region.where] = region.labels
    np.testing.assert_array_equal(labels, expected.labels)


def test_a_part_of_a_slice_has_its_place(image, binary):
    scope = Scope((1,), (10, 70), (5, 60))
    cache = cached(image, binary, "ZYX", scope)
    region, _ = cache.relabel((1,), InferenceSettings())
    assert region.where == (1, slice(10, 70), slice(5, 60))
    assert region.labels.shape == (60, 55)


def test_memory_is_bounded_and_the_first_slices_leave(image, binary):
    cache = cached(image, binary, "ZYX", limit=2 * 96 * 80 * 4)
    assert cache.indices == ((1,), (2,))
    assert not cache.complete
    assert cached(image, binary, "ZYX", limit=96 * 80 * 4 - 1).indices == ()


def test_regions_without_logits_are_passed_over(image, binary):
    slices = slices_for(image, binary, "ZYX")
    cache = LogitCache(slices)
    cache.add(Region((0, slice(0, 4), slice(0, 4)), np.zeros((4, 4), np.uint8), None))
    assert cache.indices == ()


def test_the_logits_of_a_job_are_copies(image, binary):
    """The memory of a blend is used again for the next tiles."""
    whole = cached(image, binary, "ZYX")
    again = cached(image, binary, "ZYX", batch=1)
    for index in whole.indices:
        one, other = (cache.relabel(index, InferenceSettings())[0] for cache in (whole, again))
        np.testing.assert_array_equal(one.labels, other.labels)
    assert replace(InferenceSettings(), logits=True).logits
