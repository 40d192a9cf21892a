"""Forms edit one value and give it back unchanged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from napari.layers import Image

import napari_emcad
from napari_emcad.imaging.regions import CleanUp
from napari_emcad.inference.devices import DeviceChoice
from napari_emcad.inference.events import InferenceSettings
from napari_emcad.plugin.advanced_form import AdvancedForm
from napari_emcad.plugin.axes_form import AxesForm
from napari_emcad.plugin.details_form import DetailsForm
from napari_emcad.plugin.device_combo import DeviceCombo

SETTINGS = st.builds(
    InferenceSettings,
    tile=st.integers(64, 8192),
    overlap=st.integers(0, 90).map(lambda x: x / 100),
    batch=st.none() | st.integers(1, 256),
    full_precision=st.booleans(),
    threshold=st.integers(1, 99).map(lambda x: x / 100),
    stretch=st.booleans(),
    probabilities=st.booleans(),
    clean_up=st.builds(
        CleanUp,
        fill_holes=st.integers(0, 10**6),
        smallest_object=st.integers(0, 10**6),
        largest_component=st.booleans(),
        separate=st.booleans(),
        neck=st.integers(1, 500),
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(value=SETTINGS)
def test_advanced_settings_round_trip(qapp, value):
    form = AdvancedForm(InferenceSettings())
    form.set_value(value)
    assert form.value() == value


@pytest.fixture(scope="module")
def checkpoint():
    return napari_emcad.bundled_checkpoint()


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (
            lambda f: f._activation.setCurrentIndex(1) or f._activation.activated.emit(1),
            {"activation": "relu"},
        ),
        (
            lambda f: f._parallel.setCurrentIndex(1) or f._parallel.activated.emit(1),
            {"dw_parallel": False},
        ),
        (lambda f: f._head.setCurrentIndex(1) or f._head.activated.emit(1), {"head": "sum"}),
        (
            lambda f: f._intensity.setCurrentIndex(0) or f._intensity.activated.emit(0),
            {"intensity": "range", "low": 0.0, "high": 255.0},
        ),
        (
            lambda f: f._native.setCurrentIndex(1) or f._native.activated.emit(1),
            {"size": (352, 352)},
        ),
        (
            lambda f: f._norm.setCurrentIndex(1) or f._norm.activated.emit(1),
            {"mean": (0.0,), "std": (1.0,)},
        ),
        (
            lambda f: f._classes.setText("cell, , wall") or f._classes.editingFinished.emit(),
            {"classes": ["cell", "wall"]},
        ),
    ],
    ids=["activation", "branches", "head", "intensity", "size", "norm", "classes"],
)
def test_details_tell_overrides_that_a_checkpoint_takes(qtbot, checkpoint, act, expected):
    form = DetailsForm()
    qtbot.addWidget(form)
    form.show_checkpoint(checkpoint)
    told = []
    form.changed.connect(told.append)
    act(form)
    assert told == [expected]
    if "classes" not in expected:  # one class only in this network
        changed = checkpoint.override(**expected)
        form.show_checkpoint(changed)
        assert told == [expected]


def test_a_device_that_is_not_there_cannot_be_chosen_and_says_why(qtbot):
    combo = DeviceCombo("cuda")
    qtbot.addWidget(combo)
    assert combo.currentData() == "cuda"
    combo.show_choices(
        (
            DeviceChoice("cuda", "CUDA", "no driver"),
            DeviceChoice("mps", "Apple GPU", "no Mac"),
            DeviceChoice("cpu", "CPU (2 threads)"),
        )
    )
    assert "no driver" in combo.itemText(1)
    assert not combo.model().item(1).isEnabled()
    assert combo.model().item(3).isEnabled()
    assert "CPU" in combo.itemText(0)


def form_for(qtbot, shape, inputs=3, **layer):
    form = AxesForm()
    qtbot.addWidget(form)
    form.show_layer(Image(np.zeros(shape, np.uint8), **layer), inputs)
    return form


def test_axes_are_shown_with_their_sizes_and_can_be_changed(qtbot):
    form = form_for(qtbot, (7, 20, 30), axis_labels=("t", "y", "x"))
    assert form.axes == "ZYX"
    assert form.problem == ""
    first = form._roles[0]
    first.setCurrentIndex(first.findData("C"))
    first.activated.emit(first.currentIndex())
    assert form.axes == "CYX"
    assert "Choose which channel" in form.problem
    first.setCurrentIndex(first.findData("Y"))
    first.activated.emit(first.currentIndex())
    assert "rows" in form.problem


def test_the_first_channel_chosen_feeds_every_input(qtbot):
    form = form_for(qtbot, (4, 20, 30), axis_labels=("c", "y", "x"))
    box = form._channels[0]
    box.setCurrentIndex(box.findData(2))
    box.activated.emit(box.currentIndex())
    assert form.channels == (2, 2, 2)
    assert form.problem == ""


def test_three_channels_feed_three_inputs_without_a_question(qtbot):
    form = form_for(qtbot, (3, 20, 30), axis_labels=("c", "y", "x"))
    assert form.channels == (0, 1, 2)
    assert form.problem == ""


def test_small_unnamed_axes_are_asked_for(qtbot):
    form = form_for(qtbot, (3, 20, 30))
    assert "slices or channels" in form.problem


def test_rgb_has_no_question(qtbot):
    form = form_for(qtbot, (20, 30, 3), rgb=True)
    assert (form.axes, form.problem) == ("YXC", "")
