"""What is painted becomes what is learned and what is held out."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from napari_emcad import bundled_checkpoint
from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.annotation.record import Record
from napari_emcad.interactive.samples import labeled_slices
from napari_emcad.pipelines.train import split, train_job
from napari_emcad.training.presets import PRESETS
from napari_emcad.training.samples import LabeledSlice

SHAPE = (96, 128)


def painted(count, k=1, first=0):
    target = np.full(SHAPE, UNLABELED, np.int16)
    for i in range(first, first + count):
        y, x = divmod(i, 10)
        target[8 * y : 8 * y + 3, 12 * x : 12 * x + 6] = k
    return target


@pytest.fixture
def planes():
    rng = np.random.default_rng(0)
    return {key: rng.random((1, *SHAPE)).astype(np.float32) for key in "ab"}


def test_no_pixel_is_both_trained_on_and_held_out(planes):
    record = Record().updated({"a": painted(12), "b": painted(3)})
    learned, tested = labeled_slices(record, planes)
    assert [each.name for each in learned] == ["a", "b"]
    assert [each.name for each in tested] == ["a", "b"]
    for one, other in zip(learned, tested, strict=True):
        assert not ((one.target != UNLABELED) & (other.target != UNLABELED)).any()


def test_patches_with_new_annotations_are_drawn_more_often(planes):
    record = Record().updated({"a": painted(2), "b": painted(2)}, every=0)
    learned, _ = labeled_slices(record.updated({"a": painted(2), "b": painted(3)}, every=0), planes)
    weights = {each.name: each.weight for each in learned}
    assert weights["b"] > weights["a"]
    assert not next(each for each in learned if each.name == "a").recent.any()


def test_slices_have_the_pixels_of_the_first_strokes_of_every_class():
    target = np.full((40, 40), UNLABELED, np.int16)
    target[2:5, 2:9] = 1
    record = Record().updated({"a": target.copy()}, every=0)
    target[10:14, 2:9] = 0
    record = record.updated({"a": target.copy()}, every=0)
    target[20:24, 2:9] = 1
    later = np.where(target == 1, target, UNLABELED)
    record = record.updated({"a": target.copy(), "b": later}, every=0)
    learned, _ = labeled_slices(record, dict.fromkeys("ab", np.zeros((1, 40, 40), np.float32)))
    first = {each.name: each.first_strokes for each in learned}
    assert (first["a"] == ((target != UNLABELED) & (np.arange(40) < 20)[:, None])).all()
    assert not first["b"].any()
    small, _ = labeled_slices(
        record, dict.fromkeys("ab", np.zeros((1, 40, 40), np.float32)), sizes={"a": (20, 20)}
    )
    a = next(each for each in small if each.name == "a")
    assert (a.first_strokes == ((a.target != UNLABELED) & (np.arange(20) < 10)[:, None])).all()


def test_a_network_learns_from_strokes_of_two_classes(planes):
    target = painted(4)
    both = np.where(painted(4, 0, 20) == 0, np.int16(0), target)
    learned, _ = labeled_slices(Record().updated({"a": both}), planes)
    config = PRESETS["scribbles"].replace(crops_per_epoch=4, batch=2, crop=64, pool=None)
    parent = bundled_checkpoint()
    job = train_job(parent, learned, [], config, threading.Event())
    while True:
        try:
            next(job)
        except StopIteration as ended:
            taught = ended.value
            break
    assert taught.checkpoint.parent == parent.origin.sha256
    assert taught.checkpoint.classes == parent.classes
    assert taught.checkpoint.title != parent.title
    assert "0.92" not in taught.checkpoint.description  # the parent's figures are not its own
    assert len(taught.checkpoint.history) == len(parent.history) + 1
    assert taught.checkpoint.history[-1]["parent"] == parent.origin.sha256
    assert taught.checkpoint.history[-1]["parent_title"] == parent.title


def test_slices_of_an_image_stay_together_for_all_file_names():
    nothing = np.zeros((1, 4, 4), np.float32), np.zeros((4, 4), np.int16)
    apart = [LabeledSlice(f"cell [{i}].tif", *nothing) for i in range(6)]
    learned, held_out = split(apart, 0.2, seed=0)
    assert (len(learned), len(held_out)) == (5, 1)
    stack = [LabeledSlice(f"a.tif [{i}]", *nothing, image="a.tif") for i in range(4)]
    learned, held_out = split([*stack, *apart[:1]], 0.5, seed=0)
    assert {len(learned), len(held_out)} == {1, 4}
