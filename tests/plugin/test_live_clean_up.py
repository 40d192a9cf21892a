"""Threshold and clean-up change the last result at once, without the network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from driving import press
from napari.layers import Labels

import napari_emcad
from napari_emcad.imaging.regions import CleanUp
from napari_emcad.model.network import PvtEmcad


def segment(panel, qtbot, finish):
    press(qtbot, panel.segment.panel._run)
    finish(panel)
    [layer] = [layer for layer in panel.viewer.layers if isinstance(layer, Labels)]
    return layer


def unlike_half(image, panel, axes=None):
    """Return a threshold that gives other labels than 0.5 does."""
    model = panel.session.checkpoint
    probabilities = napari_emcad.segment(image, model, axes, probabilities=True).probabilities
    below = probabilities[(probabilities > 0.02) & (probabilities < 0.4)]
    return float(np.floor(below.min() * 100) / 100)


@pytest.fixture
def threshold(panel, nuclei):
    return unlike_half(nuclei, panel)


@pytest.fixture
def network_is_done(monkeypatch):
    """Return a function after whose call the network must not run any more."""

    def forbid():
        def predict(*_, **__):
            raise AssertionError("the network runs again")

        monkeypatch.setattr(PvtEmcad, "predict", predict)

    return forbid


def expected(image, panel, axes=None, **changes):
    settings = replace(panel.context.image_input.options.settings, **changes)
    options = {"threshold": settings.threshold, "clean_up": settings.clean_up}
    return napari_emcad.segment(image, panel.session.checkpoint, axes, **options).labels


@pytest.mark.parametrize("separate", [False, True])
def test_the_threshold_acts_at_once(
    panel, qtbot, finish, nuclei, threshold, network_is_done, separate
):
    fields = panel.segment.panel
    fields._separate.setChecked(separate)
    layer = segment(panel, qtbot, finish)
    wanted = expected(nuclei, panel, threshold=threshold)
    assert (layer.data != wanted).any()
    network_is_done()
    fields.clean_up._threshold.setValue(threshold)
    qtbot.waitUntil(lambda: np.array_equal(layer.data, wanted), timeout=10_000)
    if separate:
        assert len(layer.features) == int(wanted.max()) + 1


def test_the_smallest_object_acts_at_once_and_back(panel, qtbot, finish, nuclei, threshold):
    fields = panel.segment.panel.clean_up
    fields._threshold.setValue(threshold)
    layer = segment(panel, qtbot, finish)
    before = layer.data.copy()
    wanted = expected(nuclei, panel, clean_up=CleanUp(smallest_object=200))
    fields._smallest.setValue(200)
    qtbot.waitUntil(lambda: np.array_equal(layer.data, wanted), timeout=10_000)
    fields._smallest.setValue(0)
    qtbot.waitUntil(lambda: np.array_equal(layer.data, before), timeout=10_000)


def test_an_edited_result_is_left_alone(panel, qtbot, finish, threshold):
    layer = segment(panel, qtbot, finish)
    layer.paint((5, 5), 1)
    before = layer.data.copy()
    panel.segment.panel.clean_up._threshold.setValue(threshold)
    qtbot.wait(200)
    np.testing.assert_array_equal(layer.data, before)


@pytest.fixture
def stack(viewer, dock, nuclei):
    """Return a panel on a stack of which the whole layer is segmented."""
    pixels = np.stack([np.roll(nuclei, 13 * n) for n in range(5)])
    viewer.add_image(pixels, name="stack", axis_labels=("z", "y", "x"))
    panel = dock(viewer)
    fields = panel.segment.panel
    fields._scope.setCurrentIndex(fields._scope.findData("layer"))
    return panel


@pytest.mark.parametrize("separate", [False, True])
def test_one_slice_changes_and_then_all_of_them(stack, qtbot, finish, network_is_done, separate):
    fields, image = stack.segment.panel, stack.viewer.layers["stack"].data
    fields._separate.setChecked(separate)
    threshold = unlike_half(image, stack, "ZYX")
    layer = segment(stack, qtbot, finish)
    before = layer.data.copy()
    wanted = expected(image, stack, "ZYX", threshold=threshold)
    network_is_done()
    stack.viewer.dims.set_point(0, 3)
    fields.clean_up._threshold.setValue(threshold)
    qtbot.waitUntil(lambda: not fields.clean_up._apply.isHidden(), timeout=10_000)
    qtbot.waitUntil(lambda: np.array_equal(layer.data[3] > 0, wanted[3] > 0), timeout=10_000)
    np.testing.assert_array_equal(layer.data[[0, 1, 2, 4]], before[[0, 1, 2, 4]])
    numbers = [set(np.unique(plane)) - {0} for plane in layer.data]
    if separate:
        assert not numbers[3] & set.union(*numbers[:3], numbers[4])
    press(qtbot, fields.clean_up._apply)
    finish(stack)
    np.testing.assert_array_equal(layer.data, wanted)
    assert fields.clean_up._apply.isHidden()
    if separate:
        assert len(layer.features) == int(wanted.max()) + 1


def test_scrolling_brings_the_new_settings_to_other_slices(stack, qtbot, finish, network_is_done):
    fields, image = stack.segment.panel, stack.viewer.layers["stack"].data
    layer = segment(stack, qtbot, finish)
    wanted = expected(image, stack, "ZYX", clean_up=CleanUp(smallest_object=60))
    network_is_done()
    fields.clean_up._smallest.setValue(60)
    for n in range(5):
        stack.viewer.dims.set_point(0, n)
        qtbot.waitUntil(lambda n=n: np.array_equal(layer.data[n], wanted[n]), timeout=10_000)


def test_sliders_follow_boxes_and_boxes_sliders(panel):
    fields = panel.segment.panel.clean_up
    for name, high in (("_threshold", 0.99), ("_fill_holes", 10_000), ("_neck", 100)):
        field = getattr(fields, name)
        field._slider.setValue(field._slider.maximum())
        assert field.value() == pytest.approx(high)
        field._slider.setValue(0)
        assert field.value() == field._box.minimum()
    fields._smallest.setValue(123_456)
    assert fields._smallest.value() == 123_456  # beyond the slider
    assert fields._smallest._slider.value() == fields._smallest._slider.maximum()
