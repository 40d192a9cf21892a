"""Forms show a value, and return it unchanged."""

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


def choose(box, data):
    """Choose an entry of a combo box as a user does."""
    box.setCurrentIndex(box.findData(data))
    box.activated.emit(box.currentIndex())


def steps(config):
    return config.epochs * -(-config.crops_per_epoch // config.batch)


@pytest.mark.parametrize("teacher", ["ema", "initial", "probe", "consensus"])
def test_the_pseudo_label_teacher_round_trips(qapp, teacher):
    form = TrainForm()
    form.set_value(TrainingSettings(PRESETS["scribbles"].replace(teacher=teacher)))
    assert form.value().config.teacher == teacher


def test_random_initial_weights_select_their_own_preset(qapp):
    form = TrainForm()
    usual, fresh = PRESETS["scribbles"], PRESETS["scribbles-from-nothing"]
    choose(form._start, "nothing")
    config = form.value().config
    assert (config.learning_rate, config.encoder_rate) == (fresh.learning_rate, 1)
    assert steps(config) == steps(fresh)
    choose(form._start, "imagenet")  # an encoder that has learned is not torn down
    config = form.value().config
    assert (config.learning_rate, config.encoder_rate) == (fresh.learning_rate, usual.encoder_rate)
    choose(form._start, "model")
    config = form.value().config
    assert (config.learning_rate, steps(config)) == (usual.learning_rate, steps(usual))


def test_a_chosen_preset_does_not_depend_on_the_initial_weights(qapp):
    form = TrainForm()
    choose(form._presets, "seed-dice")
    choose(form._start, "nothing")
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
def test_changed_details_are_valid_overrides(qtbot, checkpoint, act, expected):
    form = DetailsForm()
    qtbot.addWidget(form)
    form.show_checkpoint(checkpoint)
    emitted = []
    form.changed.connect(emitted.append)
    act(form)
    assert emitted == [expected]
    form.show_checkpoint(checkpoint.override(**expected))
    assert emitted == [expected]


def test_an_unavailable_device_is_disabled_with_a_reason(qtbot):
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


def test_the_first_chosen_channel_feeds_all_inputs(qtbot):
    form = form_for(qtbot, (4, 20, 30), axis_labels=("c", "y", "x"))
    box = form._channels[0]
    box.setCurrentIndex(box.findData(2))
    box.activated.emit(box.currentIndex())
    assert form.channels == (2, 2, 2)
    assert form.problem == ""


def test_three_channels_feed_three_inputs_by_default(qtbot):
    form = form_for(qtbot, (3, 20, 30), axis_labels=("c", "y", "x"))
    assert form.channels == (0, 1, 2)
    assert form.problem == ""


def test_small_unnamed_axes_have_to_be_chosen(qtbot):
    form = form_for(qtbot, (3, 20, 30))
    assert "slices or channels" in form.problem


def test_rgb_images_need_no_choice(qtbot):
    form = form_for(qtbot, (20, 30, 3), rgb=True)
    assert (form.axes, form.problem) == ("YXC", "")


@pytest.fixture
def details(qtbot):
    """Return a form and the list of overrides that it emits."""
    form = DetailsForm()
    qtbot.addWidget(form)
    emitted = []
    form.changed.connect(emitted.append)
    return form, emitted


def test_unchanged_fields_emit_nothing(details, checkpoint):
    form, emitted = details
    norm = {"mean": (0.1, 0.2, 0.3), "std": (1, 2, 3)}
    odd = checkpoint.override(intensity="range", low=0, high=0.00123, **norm)
    form.show_checkpoint(odd)
    for field in (form._low, form._high, form._height, form._width, form._classes):
        field.editingFinished.emit()
    for box in (form._activation, form._norm, form._intensity, form._native):
        box.activated.emit(box.currentIndex())
    assert emitted == []
    assert form._high.text() == "0.00123"


def test_both_limits_of_a_range_may_be_changed_one_after_the_other(details, checkpoint):
    form, emitted = details
    form.show_checkpoint(checkpoint.override(intensity="range", low=0, high=255))
    form._low.setValue(300)
    form._low.editingFinished.emit()
    assert emitted == []
    form._high.setValue(400)
    form._high.editingFinished.emit()
    assert emitted == [{"low": 300, "high": 400}]


def test_class_names_with_commas_are_separated_by_semicolons(details):
    several = napari_emcad.initialize_checkpoint(num_classes=3).override(
        classes=["cell, round", "wall"]
    )
    form, emitted = details
    form.show_checkpoint(several)
    assert form._classes.text() == "cell, round; wall"
    form._classes.setText("cell, long; wall")
    form._classes.editingFinished.emit()
    assert emitted == [{"classes": ["cell, long", "wall"]}]
    renamed = several.override(**emitted[0])
    assert [label.color for label in renamed.classes] == [label.color for label in several.classes]


def test_the_mouse_wheel_changes_no_value_without_focus(qtbot, details, checkpoint):
    """Scrolling a panel with the wheel does not change the widgets under the mouse."""
    form, emitted = details
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
    assert emitted == []


def test_the_size_of_an_axis_with_a_long_name_is_visible(qtbot):
    form = form_for(qtbot, (7, 20, 30), axis_labels=("a_very_long_axis_name", "y", "x"))
    captions = [caption.text() for caption in form.findChildren(QLabel)]
    assert "Axis a_ve…name (7)" in captions
