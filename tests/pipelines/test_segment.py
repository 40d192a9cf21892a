from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_emcad import (
    AxesError,
    CleanUp,
    InferenceSettings,
    Notice,
    Progress,
    Region,
    bundled_checkpoint,
    initialize_checkpoint,
    segment,
    stage_maps,
)
from napari_emcad.pipelines.segment import finest_level, initial_label_dtype


@pytest.fixture(scope="module")
def nuclei():
    return bundled_checkpoint()


@pytest.fixture(scope="module")
def image():
    """Return bright discs on a dark ground, (96, 128) uint8."""
    y, x = np.mgrid[:96, :128]
    image = np.full((96, 128), 12, np.uint8)
    for cy, cx, r in ((24, 30, 10), (50, 80, 12), (75, 40, 9), (30, 105, 11)):
        image[(y - cy) ** 2 + (x - cx) ** 2 < r**2] = 150
    return image


class NeverRead:
    """A shape and a type; looking at a pixel is a mistake."""

    def __init__(self, shape, dtype=np.uint8):
        self.shape, self.dtype = shape, np.dtype(dtype)

    def __getitem__(self, key):
        raise AssertionError("a pixel was read")

    __array__ = __getitem__


def test_the_bundled_network_finds_bright_discs(nuclei, image):
    found = segment(image, nuclei)
    truth = image > 100
    assert 2 * (found.labels & truth).sum() / (found.labels.sum() + truth.sum()) > 0.8
    assert found.axes == "YX"
    assert found.classes == nuclei.classes
    assert found.probabilities is None
    assert (found.summary.ending, found.summary.slices_done) == ("finished", 1)


def test_single_options_equal_settings(nuclei, image):
    clean_up = CleanUp(smallest_object=9)
    settings = InferenceSettings(threshold=0.3, probabilities=True, clean_up=clean_up)
    one = segment(image, nuclei, settings=settings)
    other = segment(image, nuclei, threshold=0.3, probabilities=True, clean_up=clean_up)
    np.testing.assert_array_equal(one.labels, other.labels)
    np.testing.assert_array_equal(one.probabilities, other.probabilities)


def test_a_single_option_replaces_that_of_the_settings(nuclei, image):
    low, high = InferenceSettings(threshold=0.01), InferenceSettings(threshold=0.99)
    expected = segment(image, nuclei, settings=high).labels
    found = segment(image, nuclei, settings=low, threshold=0.99).labels
    np.testing.assert_array_equal(found, expected)


def test_the_device_argument_replaces_that_of_the_settings(nuclei, image):
    settings = InferenceSettings(device="no such device")
    assert segment(image, nuclei, device="cpu", settings=settings).summary.ending == "finished"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"treshold": 0.5}, TypeError, "treshold"),
        ({"tile": 31}, ValueError, "tile side is 31.*at least 32"),
        ({"overlap": -0.1}, ValueError, "overlap is -0.1"),
        ({"overlap": 0.95}, ValueError, "overlap is 0.95"),
        ({"batch": 0}, ValueError, "batch is 0"),
        ({"threshold": 0}, ValueError, "threshold is 0"),
        ({"threshold": 1}, ValueError, "threshold is 1"),
        ({"device": "gpu"}, ValueError, "'gpu'"),
        ({"tile": 64.0}, ValueError, r"tile is 64\.0; it must be a whole number"),
        ({"threshold": "0.5"}, ValueError, r"threshold is '0\.5'; it must be a finite number"),
        ({"threshold": float("nan")}, ValueError, "threshold is nan; it must be a finite number"),
        ({"overlap": "a"}, ValueError, "overlap is 'a'; it must be a finite number"),
        ({"stretch": "yes"}, ValueError, "stretch is 'yes'; it must be True or False"),
        ({"clean_up": None}, ValueError, "clean_up is None; it must be a CleanUp"),
        ({"settings": 5}, TypeError, "settings is 5; it must be an InferenceSettings"),
        ({"scope": 5}, TypeError, "scope is 5; it must be a Scope"),
        ({"axes": "ZYX"}, AxesError, "'ZYX' names 3 axes"),
        ({"channels": (3,)}, AxesError, "no channel 3"),
    ],
    ids=str,
)
def test_a_wrong_option_is_refused_before_a_pixel_is_read(nuclei, options, error, message):
    with pytest.raises(error, match=message):
        segment(NeverRead((50, 60)), nuclei, **options)


def test_numpy_numbers_are_accepted(nuclei, image):
    settings = InferenceSettings(tile=np.int64(64), batch=np.uint8(2), threshold=np.float32(0.5))
    assert settings == InferenceSettings(tile=64, batch=2)
    assert type(settings.tile) is int
    assert segment(image, nuclei, tile=np.int64(64), channels=np.int64(0)).labels.any()


@pytest.mark.parametrize("ask", [segment, stage_maps])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("x.pth", r"is a path; open it with read_checkpoint\('x\.pth'\)"),
        (Path("x.pth"), r"is a path; open it with read_checkpoint\('x\.pth'\)"),
        (None, "is of type NoneType; take one from read_checkpoint"),
    ],
    ids=repr,
)
def test_other_objects_than_checkpoints_are_refused(ask, given, message):
    with pytest.raises(TypeError, match=message):
        ask(NeverRead((50, 60)), given)


@pytest.mark.parametrize(
    ("shape", "dtype", "error"),
    [
        ((3, 50, 60), np.uint8, AxesError),
        ((50,), np.uint8, ValueError),
        ((50, 60), np.complex64, TypeError),
        ((50, 60), object, TypeError),
        ((0, 60), np.uint8, ValueError),
    ],
    ids=str,
)
def test_an_image_that_cannot_be_segmented_is_refused_before_a_pixel_is_read(
    nuclei, shape, dtype, error
):
    with pytest.raises(error):
        segment(NeverRead(shape, dtype), nuclei)


def test_all_events_are_passed_on_and_regions_have_probabilities_on_request(nuclei, image):
    events = []
    segment(image, nuclei, probabilities=True, on_event=events.append)
    assert {type(each) for each in events} == {Progress, Region}
    assert all(
        each.probabilities.shape == (1, *each.labels.shape)
        for each in events
        if isinstance(each, Region)
    )
    events.clear()
    segment(image, nuclei, on_event=events.append)
    assert all(each.probabilities is None for each in events if isinstance(each, Region))
    assert not any(isinstance(each, Notice) for each in events)


def test_an_error_in_a_callback_ends_the_job_and_is_raised(nuclei, image):
    def failing(event):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        segment(image, nuclei, on_event=failing)


def test_the_finest_level_of_a_pyramid_is_used():
    levels = [np.zeros((64, 64)), np.zeros((32, 32))]
    assert finest_level(levels) is levels[0]
    assert finest_level(tuple(levels)) is levels[0]
    assert finest_level(levels[1]) is levels[1]
    nested = [[1, 2], [3, 4]]
    assert finest_level(nested) is nested


@pytest.mark.parametrize(
    ("classes", "separate", "dtype"),
    [(1, False, "u1"), (256, False, "u1"), (257, False, "u2"), (1, True, "u2"), (257, True, "u2")],
)
def test_the_initial_type_of_labels_fits_classes_or_objects(classes, separate, dtype):
    checkpoint = initialize_checkpoint(num_classes=classes)
    settings = InferenceSettings(clean_up=CleanUp(separate=separate))
    assert np.dtype(initial_label_dtype(checkpoint, settings)) == np.dtype(dtype)


def test_the_image_is_not_changed(nuclei, image):
    before = image.copy()
    frozen = image.view()
    frozen.setflags(write=False)
    segment(frozen, nuclei, stretch=True, clean_up=CleanUp(9, 9, True, True))
    np.testing.assert_array_equal(image, before)
