"""The review queue: order, states, and values that survive."""

from __future__ import annotations

import json

import pytest

from napari_emcad.interactive.review_queue import ReviewItem, ReviewQueue


@pytest.fixture
def queue():
    queue = ReviewQueue()
    queue.add(ReviewItem(f"{n}.tif", f"/data/{n}.tif") for n in range(4))
    return queue


def test_an_image_is_listed_once(queue):
    assert queue.add([ReviewItem("2.tif", "/data/2.tif"), ReviewItem("layer")]) == 1
    assert [item.name for item in queue.items] == ["0.tif", "1.tif", "2.tif", "3.tif", "layer"]


def test_next_is_to_do_and_begins_again_at_the_start(queue):
    assert queue.next_to_do() == 0
    queue.go_to(2)
    queue.change(3, done=True)
    assert queue.next_to_do() == 0
    queue.change(0, done=True)
    assert queue.next_to_do() == 1
    queue.change(1, done=True)
    assert queue.next_to_do() is None  # the current one is the last
    assert queue.remaining == 1
    queue.go_to(None)
    assert queue.next_to_do() == 2


def test_previous_ends_at_the_first(queue):
    queue.go_to(1)
    assert queue.previous() == 0
    queue.go_to(0)
    assert queue.previous() is None


def test_states_survive_as_json(queue):
    queue.change(1, done=True, dice=0.8)
    saved = json.loads(json.dumps(queue.to_list()))
    other = ReviewQueue()
    other.add([ReviewItem("1.tif", "/data/1.tif"), ReviewItem("own.tif", "/data/own.tif")])
    other.restore(saved)
    assert [item.name for item in other.items] == ["1.tif", "own.tif", "0.tif", "2.tif", "3.tif"]
    assert other.items[0] == ReviewItem("1.tif", "/data/1.tif", True, 0.8)


@pytest.mark.parametrize("entry", [{}, {"name": "a", "dice": "good"}, {"name": "a", "dice": []}])
def test_a_damaged_entry_changes_nothing(queue, entry):
    before = queue.items
    with pytest.raises((KeyError, TypeError, ValueError)):
        queue.restore([{"name": "new"}, entry])
    assert queue.items == before
