"""Forms edit one value and give it back unchanged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from napari.layers import Image
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication, QLabel

import napari_emcad
from napari_emcad.imaging.regions import CleanUp
from napari_emcad.inference.devices import DeviceChoice
from napari_emcad.inference.events import InferenceSettings
from napari_emcad.interactive.task import TrainingSettings
from napari_emcad.plugin.model.details_form import DetailsForm
from napari_emcad.plugin.segment.advanced_form import AdvancedForm
from napari_emcad.plugin.segment.axes_form import AxesForm
from napari_emcad.plugin.teach.train_form import TrainForm
from napari_emcad.plugin.widgets.device_combo import DeviceCombo
from napari_emcad.training.presets import PRESETS

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


def chosen(box, data):
    """Choose an entry of a combo box as a user does."""
    box.setCurrentIndex(box.findData(data))
    box.activated.emit(box.currentIndex())


def steps(config):
    return config.epochs * -(-config.crops_per_epoch // config.batch)


@pytest.mark.parametrize("teacher", ["ema", "initial", "probe", "consensus"])
def test_who_teaches_unpainted_pixels_round_trips(qapp, teacher):
    form = TrainForm()
    form.set_value(TrainingSettings(PRESETS["scribbles"].replace(teacher=teacher)))
    assert form.value().config.teacher == teacher


def test_a_start_from_nothing_brings_its_own_settings_and_takes_them_away(qapp):
    form = TrainForm()
    usual, fresh = PRESETS["scribbles"], PRESETS["scribbles-from-nothing"]
    chosen(form._start, "nothing")
    config = form.value().config
    assert (config.learning_rate, config.encoder_rate) == (fresh.learning_rate, 1)
    assert steps(config) == steps(fresh)
    chosen(form._start, "imagenet")  # an encoder that has learned is not torn down
    config = form.value().config
    assert (config.learning_rate, config.encoder_rate) == (fresh.learning_rate, usual.encoder_rate)
    chosen(form._start, "model")
    config = form.value().config
    assert (config.learning_rate, steps(config)) == (usual.learning_rate, steps(usual))


def test_a_preset_that_was_chosen_stays_whatever_is_started_from(qapp):
    form = TrainForm()
    chosen(form._presets, "seed-dice")
    chosen(form._start, "nothing")
    assert form.value().config.learning_rate == PRESETS["seed-dice"].learning_rate


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
            {"size": (352, 352), "zoom": 1.0},
        ),
        (
            lambda f: f._zoom.setValue(3.25) or f._zoom.editingFinished.emit(),
            {"size": None, "zoom": 3.25},
        ),
        (
            lambda f: f._norm.setCurrentIndex(1) or f._norm.activated.emit(1),
            {"mean": (0.0,), "std": (1.0,)},
        ),
        (
            lambda f: f._classes.setText("cell, round") or f._classes.editingFinished.emit(),
            {"classes": ["cell, round"]},
        ),
    ],
    ids=["activation", "branches", "head", "intensity", "size", "zoom", "norm", "classes"],
)
def test_details_tell_overrides_that_a_checkpoint_takes(qtbot, checkpoint, act, expected):
    form = DetailsForm()
    qtbot.addWidget(form)
    form.show_checkpoint(checkpoint)
    told = []
    form.changed.connect(told.append)
    act(form)
    assert told == [expected]
    form.show_checkpoint(checkpoint.override(**expected))
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


@pytest.fixture
def details(qtbot):
    """Return a form, and a function that shows a checkpoint in it; what it tells is kept."""
    form = DetailsForm()
    qtbot.addWidget(form)
    told = []
    form.changed.connect(told.append)
    return form, told


def test_passing_through_the_fields_changes_nothing(details, checkpoint):
    form, told = details
    norm = {"mean": (0.1, 0.2, 0.3), "std": (1, 2, 3)}
    odd = checkpoint.override(intensity="range", low=0, high=0.00123, **norm)
    form.show_checkpoint(odd)
    for field in (form._low, form._high, form._height, form._width, form._classes):
        field.editingFinished.emit()
    for box in (form._activation, form._norm, form._intensity, form._native):
        box.activated.emit(box.currentIndex())
    assert told == []
    assert form._high.text() == "0.00123"


def test_a_range_may_be_moved_one_end_after_the_other(details, checkpoint):
    form, told = details
    form.show_checkpoint(checkpoint.override(intensity="range", low=0, high=255))
    form._low.setValue(300)
    form._low.editingFinished.emit()
    assert told == []
    form._high.setValue(400)
    form._high.editingFinished.emit()
    assert told == [{"low": 300, "high": 400}]


def test_class_names_with_commas_survive_between_semicolons(details):
    several = napari_emcad.initialize_checkpoint(num_classes=3).override(
        classes=["cell, round", "wall"]
    )
    form, told = details
    form.show_checkpoint(several)
    assert form._classes.text() == "cell, round; wall"
    form._classes.setText("cell, long; wall")
    form._classes.editingFinished.emit()
    assert told == [{"classes": ["cell, long", "wall"]}]
    renamed = several.override(**told[0])
    assert [each.color for each in renamed.classes] == [each.color for each in several.classes]


def test_the_wheel_changes_nothing_without_focus(qtbot, details, checkpoint):
    """A panel is scrolled with the wheel; what lies under it stays as it is."""
    form, told = details
    form.show_checkpoint(checkpoint)
    form.show()
    for field in (form._activation, form._inputs, form._low, form._height, DeviceCombo()):
        qtbot.addWidget(field)
        before = field.currentIndex() if hasattr(field, "currentIndex") else field.value()
        point = QPointF(5, 5)
        for notch in (120, -120, -120):
            event = QWheelEvent(
                point,
                point,
                QPoint(),
                QPoint(0, notch),
                Qt.MouseButton.NoButton,
                Qt.KeyboardModifier.NoModifier,
                Qt.ScrollPhase.NoScrollPhase,
                False,
            )
            QApplication.sendEvent(field, event)
        after = field.currentIndex() if hasattr(field, "currentIndex") else field.value()
        assert after == before
    assert told == []


def test_a_long_axis_name_keeps_its_size_in_sight(qtbot):
    form = form_for(qtbot, (7, 20, 30), axis_labels=("a_very_long_axis_name", "y", "x"))
    captions = [each.text() for each in form.findChildren(QLabel)]
    assert "Axis a_ve…name (7)" in captions
