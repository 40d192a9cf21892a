from __future__ import annotations

import threading

import numpy as np
import pytest

from napari_emcad import Progress, Region, segment

STACK = np.random.default_rng(0).standard_normal((7, 50, 60)).astype(np.float32)
how = {"axes": "ZYX", "tile": 32, "overlap": 0.25}
TILES = 2 * 3  # of each slice


def test_a_stop_before_the_start_computes_nothing(as_it_is, logits):
    stop = threading.Event()
    stop.set()
    found = segment(STACK, as_it_is, **how, stop=stop)
    assert logits == []
    assert not found.labels.any()
    assert (found.summary.ending, found.summary.slices_done) == ("stopped", 0)
    assert found.summary.slices_total == 7


@pytest.mark.parametrize("batches", [1, 3, 4, 6, 10])
@pytest.mark.parametrize("batch", [1, 4])
def test_a_stop_acts_within_the_batch_and_keeps_what_is_done(as_it_is, instead, batches, batch):
    stop, calls = threading.Event(), []

    def stopping(real, network, x, head):
        calls.append(len(x))
        if len(calls) == batches:
            stop.set()
        return x[:, :1].clone()

    instead(stopping)
    found = segment(STACK, as_it_is, **how, batch=batch, stop=stop)
    assert calls == [batch] * batches
    assert found.summary.ending == "stopped"
    done = found.summary.slices_done
    assert done == batches * batch // TILES
    np.testing.assert_array_equal(found.labels[:done], STACK[:done] > 0)
    assert not found.labels[done + 1 :].any()


def test_a_stop_during_the_last_batch_has_no_effect(as_it_is, instead):
    stop = threading.Event()

    def stopping(real, network, x, head):
        stop.set()
        return x[:, :1].clone()

    instead(stopping)
    found = segment(STACK, as_it_is, **how, batch=7 * TILES, stop=stop)
    assert (found.summary.ending, found.summary.slices_done) == ("finished", 7)
    np.testing.assert_array_equal(found.labels, STACK > 0)


@pytest.mark.parametrize("batch", [1, 4, 5, 100])
def test_progress_rises_by_batches_from_0_to_the_total(as_it_is, logits, batch):
    events = []
    segment(STACK, as_it_is, **how, batch=batch, on_event=events.append)
    steps = [event for event in events if isinstance(event, Progress)]
    total = 7 * TILES
    assert {each.total for each in steps} == {total}
    assert [each.done for each in steps] == [*range(0, total, batch), total]
    assert isinstance(events[0], Progress)
    assert events[-1] == Progress(total, total)


@pytest.mark.parametrize("size", [None, (32, 32)])
def test_regions_come_slice_by_slice_and_row_by_row(as_it_is, logits, size):
    events = []
    segment(STACK, as_it_is.override(size=size), **how, on_event=events.append)
    places = [event.where for event in events if isinstance(event, Region)]
    corners = [(z, y.start, x.start) for z, y, x in places]
    assert corners == sorted(set(corners))
    assert len(places) == (7 * TILES if size is None else 7)


def test_a_slices_clean_up_comes_after_its_last_tile(as_it_is, logits):
    events = []
    segment(STACK, as_it_is, **how, on_event=events.append, clean_up=clean_up())
    places = [event.where for event in events if isinstance(event, Region)]
    assert len(places) == 7 * (TILES + 1)
    for z in range(7):
        last = places[(z + 1) * (TILES + 1) - 1]
        assert last == (z, slice(0, 50), slice(0, 60))


def clean_up():
    from napari_emcad import CleanUp

    return CleanUp(smallest_object=2)


def test_regions_replayed_in_order_give_the_result(checkpoint, picture):
    replayed = np.full((90, 75), 99, np.uint8)

    def paint(event):
        if isinstance(event, Region):
            replayed[event.where] = event.labels

    found = segment(picture, checkpoint(num_classes=4), tile=48, on_event=paint)
    np.testing.assert_array_equal(replayed, found.labels)


def test_a_region_does_not_change_after_it_was_yielded(as_it_is, logits):
    yielded = []

    def remember(event):
        if isinstance(event, Region):
            yielded.append((event, event.labels.copy(), event.probabilities.copy()))

    segment(STACK, as_it_is, **how, probabilities=True, on_event=remember)
    for event, labels, probabilities in yielded:
        np.testing.assert_array_equal(event.labels, labels)
        np.testing.assert_array_equal(event.probabilities, probabilities)


def test_two_runs_yield_the_same(checkpoint, picture):
    first, second = [segment(picture, checkpoint(), tile=48) for _ in range(2)]
    np.testing.assert_array_equal(first.labels, second.labels)
    assert first.summary == second.summary
