"""Suggestions of regions to annotate, searched in all slices of a stack."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import napari_emcad
from napari_emcad.annotation.label_rules import LabelRule, LabelValueError
from napari_emcad.imaging.slices import as_slices
from napari_emcad.inference.events import InferenceSettings, Progress
from napari_emcad.inference.patches import Preprocessor
from napari_emcad.interactive.annotated_patches import AnnotatedImage, read_window
from napari_emcad.interactive.suggest import (
    MOST_REGIONS,
    SuggestedRegions,
    SuggestSearch,
    suggest_job,
)
from napari_emcad.interactive.suggest_ranking import (
    UncertainSlice,
    grouped_by_slice,
    suggest_regions,
)
from napari_emcad.pipelines.segment import slices_for

CPU = InferenceSettings(device="cpu", full_precision=True)
SHAPE = (96, 128)


@pytest.fixture(scope="module")
def bundled():
    return napari_emcad.bundled_checkpoint()


@pytest.fixture(scope="module")
def stack():
    """Return a stack of noisy blobs, (7, 96, 128); slice 2 is empty and certain."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:96, :128]
    plane = 90 * (((y % 40 - 20) ** 2 + (x % 40 - 20) ** 2) < 90)
    image = np.stack([np.roll(plane, 5 * z, 1) + random.integers(0, 60, SHAPE) for z in range(7)])
    image[2] = 0
    return image.astype(np.uint8)


def search_regions(
    tiny_checkpoint,
    image,
    axes="ZYX",
    annotated=None,
    temperature=1.0,
    shape=None,
    most=None,
    **grid,
):
    slices = slices_for(image, tiny_checkpoint, axes)
    shape = shape or (slices.height, slices.width)
    search = SuggestSearch(slices, shape, tiny_checkpoint, CPU, temperature, annotated, **grid)
    options = {} if most is None else {"most_slices": most}
    job, events = suggest_job(search, threading.Event(), **options), []
    while True:
        try:
            events.append(next(job))
        except StopIteration as end:
            return end.value, events


def expected(tiny_checkpoint, image, zs, annotated=None, temperature=1.0, most=MOST_REGIONS):
    """Return the regions of slices `zs` of a ZYX stack, computed from `stage_maps`."""
    maps = napari_emcad.stage_maps(
        image,
        tiny_checkpoint,
        ["entropy", "encoder:1"],
        "ZYX",
        "cpu",
        full_precision=True,
        temperature=temperature,
    )
    slices = slices_for(image, tiny_checkpoint, "ZYX")
    preprocessor = Preprocessor(slices, tiny_checkpoint.preprocessing)
    ranges = (0, SHAPE[0]), (0, SHAPE[1])
    unlabeled = np.full(SHAPE, -1, np.int16)
    uncertain_slices = [
        UncertainSlice(
            (z,),
            maps[z]["entropy"].values,
            unlabeled if annotated is None else read_window(annotated, (z,), *ranges, 1),
            (*preprocessor.planes((z,), *ranges), *maps[z]["encoder:1"].values),
        )
        for z in zs
    ]
    return tuple(grouped_by_slice(suggest_regions(uncertain_slices, most=most)))


def test_regions_of_all_slices_are_ranked_together(bundled, stack):
    result, events = search_regions(bundled, stack)
    assert result.regions == expected(bundled, stack, range(7))
    assert len({region.index for region in result.regions}) > 1
    assert (2,) not in {region.index for region in result.regions}
    assert (result.searched, result.total, result.stopped) == (7, 7, False)
    assert str(result) == ""
    assert [event.done for event in events if isinstance(event, Progress)] == list(range(7))


def test_regions_do_not_depend_on_the_order_of_rows_and_columns(tiny_checkpoint, stack):
    turned, _ = search_regions(
        tiny_checkpoint, np.ascontiguousarray(stack.transpose(0, 2, 1)), "ZXY"
    )
    assert turned.regions == search_regions(tiny_checkpoint, stack)[0].regions


def test_a_single_slice_has_fewer_regions_and_reports_tile_progress(tiny_checkpoint, stack):
    result, events = search_regions(tiny_checkpoint, stack[3], "YX")
    expected_regions = expected(tiny_checkpoint, stack, [3], most=5)
    assert [(region.rows, region.columns) for region in result.regions] == [
        (region.rows, region.columns) for region in expected_regions
    ]
    assert any(isinstance(event, Progress) for event in events)


def test_the_temperature_changes_the_regions(tiny_checkpoint, stack):
    result, _ = search_regions(tiny_checkpoint, stack, temperature=4.0)
    assert result.regions == expected(tiny_checkpoint, stack, range(7), temperature=4.0)
    assert result.regions != expected(tiny_checkpoint, stack, range(7))


def test_a_long_stack_is_searched_at_evenly_spaced_slices(tiny_checkpoint, stack):
    result, _ = search_regions(tiny_checkpoint, stack, most=3)
    assert result.regions == expected(tiny_checkpoint, stack, (0, 3, 6))
    assert str(result) == "Searched 3 of 7 slices, evenly spaced."


def test_stop_keeps_the_regions_of_searched_slices(tiny_checkpoint, stack):
    stop, slices = threading.Event(), slices_for(stack, tiny_checkpoint, "ZYX")
    job = suggest_job(SuggestSearch(slices, SHAPE, tiny_checkpoint, CPU), stop)
    for event in job:
        if event == Progress(2, 7):
            stop.set()
            break
    with pytest.raises(StopIteration) as end:
        next(job)
    result = end.value.value
    assert result.regions == expected(tiny_checkpoint, stack, (0, 1))
    assert str(result) == "Stopped after 2 of 7 slices."


def test_messages_for_an_empty_result():
    assert str(SuggestedRegions((), 1, 1, 1)) == "No uncertain region was found."
    assert str(SuggestedRegions((), 0, 1, 1)) == "Stopped."
    assert str(SuggestedRegions((), 32, 32, 900)).endswith("No uncertain region was found.")


def test_annotated_regions_are_left_out(tiny_checkpoint, stack):
    first = search_regions(tiny_checkpoint, stack)[0].regions[0]
    labels = np.zeros(stack.shape, np.uint8)
    labels[first.index[0], slice(*first.rows), slice(*first.columns)] = 1
    annotated = AnnotatedImage(
        "a", "a", slices_for(stack, tiny_checkpoint, "ZYX"), labels, LabelRule()
    )
    result, _ = search_regions(tiny_checkpoint, stack, annotated=annotated)
    assert result.regions == expected(tiny_checkpoint, stack, range(7), annotated)
    assert first not in result.regions
    labels[:] = 9
    with pytest.raises(LabelValueError):
        search_regions(tiny_checkpoint, stack, annotated=annotated)


def test_only_the_requested_slice_is_read():
    class OnDisk:
        shape, dtype, read = (40, 20, 30), np.dtype(np.uint8), 0

        def __getitem__(self, where):
            self.read += 1
            return np.zeros(self.shape, np.uint8)[where]

    labels = OnDisk()
    source = AnnotatedImage(
        "a", "a", as_slices(np.zeros(labels.shape), 3, "ZYX"), labels, LabelRule()
    )
    read_window(source, (7,), (0, 20), (0, 30), 1)
    assert labels.read == 1


@pytest.fixture
def large(stack):
    """Return a slice of twice the size, every pixel repeated 2 × 2 times."""
    return stack[3].repeat(2, 0).repeat(2, 1)


def test_large_slices_are_ranked_on_a_coarser_grid(tiny_checkpoint, large):
    result, _ = search_regions(tiny_checkpoint, large, "YX", largest_side=128)
    assert result.regions
    for region in result.regions:
        (top, bottom), (left, right) = region.rows, region.columns
        assert 0 <= top < bottom <= 192
        assert 0 <= left < right <= 256
        assert (bottom - top, right - left) == (128, 128)


def test_reading_in_bands_does_not_change_the_regions(tiny_checkpoint, large, monkeypatch):
    monkeypatch.setattr("napari_emcad.imaging.slices._SAMPLE", 5000)
    result = []
    for band in (10, 1000):
        searched = search_regions(tiny_checkpoint, large, "YX", largest_side=128, band=band)[0]
        result.append(searched.regions)
    assert result[0] == result[1]
    assert result[0]


def test_annotated_regions_of_large_slices_are_left_out(tiny_checkpoint, large):
    first = search_regions(tiny_checkpoint, large, "YX", largest_side=128)[0].regions[0]
    labels = np.zeros(large.shape, np.uint8)
    labels[first.rows[0] + 1, first.columns[0] + 1] = 1
    annotated = AnnotatedImage(
        "a", "a", slices_for(large, tiny_checkpoint, "YX"), labels, LabelRule()
    )
    result, _ = search_regions(tiny_checkpoint, large, "YX", largest_side=128, annotated=annotated)
    assert first not in result.regions


def test_regions_of_a_coarse_level_are_in_pixels_of_the_finest_level(tiny_checkpoint, stack):
    fine = search_regions(tiny_checkpoint, stack[3], "YX")[0].regions
    coarse = search_regions(tiny_checkpoint, stack[3], "YX", shape=(384, 384))[0].regions
    assert [(region.rows, region.columns) for region in coarse] == [
        (tuple(4 * n for n in region.rows), tuple(3 * n for n in region.columns)) for region in fine
    ]
