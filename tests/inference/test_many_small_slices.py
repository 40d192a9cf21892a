"""Slices smaller than a tile go through the network in batches across slices."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from napari_emcad import CleanUp, Progress, Region, segment


def stack_of(shape, picture):
    """Return slices of different brightness, ``(Z, Y, X)``."""
    count, height, width = shape
    tiled = np.pad(picture[..., 0], ((0, 90), (0, 90)), mode="wrap")
    parts = [np.roll(tiled, 7 * z, 1)[:height, :width] // (1 + z % 3) for z in range(count)]
    return np.stack(parts)


@pytest.mark.parametrize("shape", [(13, 32, 32), (7, 20, 45), (9, 1, 64), (5, 100, 70)], ids=str)
@pytest.mark.parametrize("over", ["slice", "stack"])
def test_a_stack_has_the_result_of_its_slices(checkpoint, picture, shape, over):
    model = checkpoint().override(intensity="percentile", low=1, high=99, over=over)
    stack = stack_of(shape, picture)
    whole = segment(stack, model, "ZYX", batch=4, probabilities=True)
    single = segment(stack, model, "ZYX", batch=1, probabilities=True)
    np.testing.assert_array_equal(whole.labels, single.labels)
    np.testing.assert_allclose(whole.probabilities, single.probabilities, rtol=0, atol=1e-5)
    if over == "slice":
        alone = [segment(plane, model, "YX").labels for plane in stack]
        np.testing.assert_array_equal(whole.labels, alone)


def test_the_default_batch_has_as_many_pixels_as_one_tile(as_it_is, logits):
    stack = np.zeros((600, 32, 32), np.float32)
    events = []
    segment(stack, as_it_is, "ZYX", device="cpu", on_event=events.append)
    assert [shape[0] for shape in logits] == [256, 256, 88]
    assert [e.done for e in events if isinstance(e, Progress)] == [0, 256, 512, 600]
    assert [e.where[0] for e in events if isinstance(e, Region)] == list(range(600))


@pytest.mark.parametrize("options", [{}, {"stretch": True}, {"clean_up": CleanUp(separate=True)}])
def test_what_needs_whole_slices_is_done_per_slice(as_it_is, logits, options):
    signs = np.random.default_rng(0).standard_normal((5, 8, 9)).astype(np.float32)
    batched = segment(signs, as_it_is, "ZYX", batch=4, **options)
    single = segment(signs, as_it_is, "ZYX", batch=1, **options)
    np.testing.assert_array_equal(batched.labels, single.labels)
    assert batched.summary.object_classes == single.summary.object_classes


def test_a_stop_keeps_the_slices_of_complete_batches(as_it_is, logits):
    stack, stop = np.ones((10, 32, 32), np.float32), threading.Event()

    def stop_after_the_second_batch(event):
        if isinstance(event, Progress) and event.done == 8:
            stop.set()

    found = segment(
        stack, as_it_is, "ZYX", batch=4, stop=stop, on_event=stop_after_the_second_batch
    )
    assert found.summary.ending == "stopped"
    assert found.summary.slices_done == 8
    np.testing.assert_array_equal(found.labels.any((1, 2)), [True] * 8 + [False] * 2)
