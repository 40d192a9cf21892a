from __future__ import annotations

import threading

import numpy as np
import pytest
from scipy import ndimage

from napari_emcad import CleanUp, InferenceSettings, Region, segment
from napari_emcad.inference.postprocess import label_dtype
from napari_emcad.pipelines.segment import segment_job, slices_for, write_region

SEPARATE = CleanUp(separate=True)


def squares(*per_slice):
    """Return logits of slices with so many separate squares each."""
    stack = np.full((len(per_slice), 40, 64), -5, np.float32)
    for z, count in enumerate(per_slice):
        for i in range(count):
            y, x = divmod(i, 6)
            stack[z, 3 + 12 * y : 9 + 12 * y, 3 + 10 * x : 9 + 10 * x] = 5
    return stack


@pytest.mark.parametrize("tile", [512, 32])
def test_objects_are_numbered_through_the_whole_stack(as_it_is, logits, tile):
    stack = squares(3, 0, 1, 10)
    found = segment(stack, as_it_is, "ZYX", clean_up=SEPARATE, tile=tile)
    assert found.labels.dtype == np.uint16
    assert found.summary.object_classes == (1,) * 14
    np.testing.assert_array_equal(found.labels > 0, stack > 0)
    numbers = [set(np.unique(each)) - {0} for each in found.labels]
    assert numbers == [{1, 2, 3}, set(), {4}, set(range(5, 15))]
    for number in range(1, 15):
        assert ndimage.label(found.labels == number)[1] == 1


def test_objects_are_numbered_on_from_existing_ones(as_it_is, logits):
    regions, summary = run(squares(2, 1), as_it_is, object_classes=(1, 1, 1))
    assert [sorted(set(np.unique(each.labels)) - {0}) for each in regions] == [[4, 5], [6]]
    assert summary.object_classes == (1,) * 6


def run(stack, checkpoint, object_classes):
    """Return the last region of each slice, and the summary."""
    slices = slices_for(stack, checkpoint, "ZYX")
    settings = InferenceSettings(clean_up=SEPARATE)
    job = segment_job(slices, checkpoint, settings, threading.Event(), object_classes)
    last = {}
    while True:
        try:
            event = next(job)
        except StopIteration as ended:
            return list(last.values()), ended.value
        if isinstance(event, Region):
            last[event.where[0]] = event


@pytest.mark.parametrize(
    ("before", "dtypes"),
    [
        (0, [np.uint16, np.uint16]),
        (65_533, [np.uint16, np.uint32]),
        (65_532, [np.uint16, np.uint16]),
        (70_000, [np.uint32, np.uint32]),
    ],
)
def test_objects_beyond_65535_are_wider_and_none_is_lost(as_it_is, logits, before, dtypes):
    regions, _ = run(squares(2, 1), as_it_is, object_classes=(1,) * before)
    assert [each.labels.dtype for each in regions] == dtypes
    labels = np.zeros((2, 40, 64), np.uint16)
    for each in regions:
        labels = write_region(labels, each)
    assert labels.dtype == dtypes[-1]
    assert set(np.unique(labels)) == {0, before + 1, before + 2, before + 3}


def test_objects_have_their_class(checkpoint, instead):
    def three_classes(real, network, x, head):
        value = x[:, :1]
        return -((value - value.new_tensor([0, 1, 2])[None, :, None, None]) ** 2)

    instead(three_classes)
    network = checkpoint(num_classes=3).override(intensity="none", mean=(0,), std=(1,))
    image = np.zeros((40, 64), np.uint8)
    image[2:10, 2:10], image[20:30, 2:10], image[20:30, 30:40], image[20:30, 40:50] = 2, 1, 1, 2
    found = segment(image, network, clean_up=SEPARATE)
    classes = found.summary.object_classes
    assert sorted(classes) == [1, 1, 2, 2]
    by_object = np.array([0, *classes])
    np.testing.assert_array_equal(by_object[found.labels], image)


def test_without_objects_there_are_no_object_classes(as_it_is, logits):
    assert segment(squares(3), as_it_is, "ZYX").summary.object_classes == ()
    nothing = segment(squares(0), as_it_is, "ZYX", clean_up=SEPARATE)
    assert nothing.summary.object_classes == ()
    assert not nothing.labels.any()


def test_small_objects_are_removed_before_they_get_numbers(as_it_is, logits):
    stack = squares(2)
    stack[0, 30, 30] = 5
    found = segment(stack, as_it_is, "ZYX", clean_up=CleanUp(smallest_object=4, separate=True))
    assert found.summary.object_classes == (1, 1)
    assert found.labels[0, 30, 30] == 0


def test_an_object_across_tiles_is_one(as_it_is, logits):
    y, x = np.mgrid[:80, :100]
    disc = 30.0 - np.hypot(y - 40, x - 50)
    found = segment(disc, as_it_is, tile=32, clean_up=SEPARATE)
    assert found.summary.object_classes == (1,)
    np.testing.assert_array_equal(found.labels, disc > 0)


@pytest.mark.parametrize(
    ("largest", "dtype"),
    [(0, "u1"), (255, "u1"), (256, "u2"), (65_535, "u2"), (65_536, "u4"), (2**31, "u4")],
)
def test_a_label_type_holds_the_largest_label(largest, dtype):
    assert np.dtype(label_dtype(largest)) == np.dtype(dtype)
    assert np.iinfo(label_dtype(largest)).max >= largest


def test_placing_a_region_never_narrows_the_type():
    wide = np.zeros((4, 5), np.uint32)
    narrow = Region((slice(1, 3), slice(0, 5)), np.full((2, 5), 9, np.uint8), None)
    result = write_region(wide, narrow)
    assert result is wide
    assert result.dtype == np.uint32
    assert result[1:3].tolist() == [[9] * 5] * 2
