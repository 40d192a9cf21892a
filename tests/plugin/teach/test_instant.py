"""Instant on the Teach tab: strokes are predicted without a training."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from driving import (
    BACKGROUND,
    OBJECT_STARTS,
    annotation,
    draw_stroke,
    draw_strokes,
    prediction,
    press,
    wait_until_idle,
)
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

import napari_emcad
from napari_emcad.interactive import instant
from napari_emcad.plugin.teach.instant_controller import InstantState


@pytest.fixture
def button(teach):
    return teach.teach.panel._instant


def test_it_predicts_as_soon_as_two_classes_have_a_stroke(teach, qtbot, button):
    press(qtbot, button)
    draw_stroke(teach, 1, OBJECT_STARTS[0])
    wait_until_idle(teach, qtbot)
    assert prediction(teach) is None
    draw_stroke(teach, 0, BACKGROUND[0])
    wait_until_idle(teach, qtbot)
    labels = prediction(teach).data
    painted = annotation(teach).data
    assert (labels[painted == 1] == 1).mean() > 0.9
    assert (labels[painted == 255] == 0).mean() > 0.9
    assert teach.teach.panel._source.text() == "Shown: Instant."
    assert button.text() == "Instant: on"
    assert len(teach.session.versions) == 1  # the open model is as it was


def test_it_needs_an_image(viewer, dock, nuclei, qtbot):
    panel = dock(viewer)
    wait_until_idle(panel, qtbot)
    buttons = [panel.teach.panel._instant, panel.teach.panel._live]
    tips = [one.property("tip") for one in buttons]
    for one in buttons:
        qtbot.waitUntil(lambda one=one: not one.isEnabled())
        assert one.toolTip() == "Open an image first."
    panel.teach.panel.toggle_instant()  # as Alt+I does
    assert panel.runner.message == "Open an image first."
    assert panel.teach.instant.state is InstantState.OFF
    qtbot.waitUntil(lambda: not buttons[0].isChecked())
    viewer.add_image(nuclei, name="nuclei")
    qtbot.waitUntil(lambda: all(one.isEnabled() for one in buttons))
    assert [one.toolTip() for one in buttons] == tips
    press(qtbot, buttons[0])
    assert panel.teach.instant.state is not InstantState.OFF
    del viewer.layers["nuclei"]
    wait_until_idle(panel, qtbot)
    press(qtbot, buttons[0])  # what is on can be switched off
    qtbot.waitUntil(lambda: not buttons[0].isEnabled())


def test_strokes_that_exist_are_predicted_when_it_is_switched_on(teach, qtbot, button):
    draw_strokes(teach, qtbot)
    assert prediction(teach) is None
    qtbot.keyClick(teach, Qt.Key.Key_I, Qt.KeyboardModifier.AltModifier)
    if not button.isChecked():  # without focus, shortcuts of the window may not arrive
        press(qtbot, button)
    wait_until_idle(teach, qtbot)
    first = prediction(teach).data.copy()
    assert first.any()
    draw_stroke(teach, 0, OBJECT_STARTS[1])
    wait_until_idle(teach, qtbot)
    assert not np.array_equal(prediction(teach).data, first)


def test_off_changes_nothing_more(teach, qtbot, button):
    press(qtbot, button)
    draw_strokes(teach, qtbot)
    press(qtbot, button)
    wait_until_idle(teach, qtbot)
    shown = prediction(teach).data.copy()
    draw_stroke(teach, 0, OBJECT_STARTS[1])
    wait_until_idle(teach, qtbot)
    assert np.array_equal(prediction(teach).data, shown)
    assert teach.teach.instant.state is InstantState.OFF
    assert not teach.teach.panel._source.isVisible()


def test_a_failure_switches_it_off_and_says_so(teach, qtbot, button, monkeypatch):
    def fail(*_, **__):
        raise ValueError("No such luck.")

    monkeypatch.setattr(instant.InstantTrainer, "fit", fail)
    press(qtbot, button)
    draw_strokes(teach, qtbot)
    assert not button.isChecked()
    assert teach.job_bar.message == "No such luck. Instant is off."


def test_a_training_is_started_while_it_is_on(teach, qtbot, button):
    press(qtbot, button)
    draw_strokes(teach, qtbot)
    press(qtbot, teach.teach.panel._train)
    wait_until_idle(teach, qtbot)
    assert [version.how for version in teach.session.versions] == ["opened", "trained"]
    assert button.isChecked()


def test_live_updates_come_first(teach, qtbot, button):
    press(qtbot, button)
    press(qtbot, teach.teach.panel._live)
    draw_strokes(teach, qtbot)
    assert len(teach.session.versions) > 1
    assert prediction(teach) is not None


def fit(panel, qtbot):
    press(qtbot, panel.teach.panel._instant)
    draw_strokes(panel, qtbot)
    press(qtbot, panel.teach.panel._instant)
    wait_until_idle(panel, qtbot)


def result(panel):
    return next(layer for layer in panel.viewer.layers if layer.name.endswith("segmentation"))


def test_segment_uses_the_instant_model_if_it_is_chosen(teach, qtbot, nuclei):
    choice, rows = teach.segment.panel.model, teach.segment.panel._rows
    assert not rows.isRowVisible(choice)
    fit(teach, qtbot)
    assert rows.isRowVisible(choice)
    assert not choice.is_instant  # the open model stays chosen
    assert not choice._save.isEnabled()
    choice._box.setCurrentIndex(1)
    assert choice._box.currentText() == "Instant, 2 strokes"
    press(qtbot, teach.segment.panel._run)
    wait_until_idle(teach, qtbot)
    layer, model = result(teach), teach.session.instant
    assert np.array_equal(layer.data, napari_emcad.segment(nuclei, model).labels)
    assert layer.metadata["napari-emcad"]["model"] == "Instant"
    draw_stroke(teach, 1, OBJECT_STARTS[1])
    assert choice.is_instant


def test_it_is_saved_and_opened_again(teach, qtbot, monkeypatch, tmp_path):
    fit(teach, qtbot)
    choice, path = teach.segment.panel.model, tmp_path / "mine"
    choice._box.setCurrentIndex(1)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    press(qtbot, choice._save)
    wait_until_idle(teach, qtbot)
    file = path.with_suffix(".safetensors")
    assert napari_emcad.read_instant(file).strokes == 2
    choice._box.setCurrentIndex(0)
    open_before = teach.session.checkpoint
    teach.model.controller.open_file(file)
    wait_until_idle(teach, qtbot)
    assert choice._box.currentText() == "Instant: mine"
    assert choice.is_instant
    assert teach.session.checkpoint is open_before
    assert "Segment tab" in teach.job_bar.message


def test_a_damaged_file_is_refused_in_the_window(teach, qtbot, tmp_path):
    fit(teach, qtbot)
    path, model = tmp_path / "file.safetensors", teach.session.instant
    napari_emcad.write_instant(model, path)
    path.write_bytes(path.read_bytes()[:-4])
    teach.model.controller.open_file(path)
    wait_until_idle(teach, qtbot)
    assert "cut short" in teach.job_bar.message
    assert teach.session.instant is model


def test_a_new_stroke_ends_the_refinement(teach, qtbot, button, monkeypatch):
    """The first prediction is shown, and the rest is left to the update with the new stroke."""
    shown, waiting = threading.Event(), threading.Event()
    real = instant.predict_visible

    def slow(probe, *arguments):
        stop = arguments[-1]
        if len(probe.members) > 1 and not shown.is_set():
            shown.set()
            assert stop.wait(60)
            waiting.set()
        yield from real(probe, *arguments)

    monkeypatch.setattr(instant, "predict_visible", slow)
    press(qtbot, button)
    draw_stroke(teach, 1, OBJECT_STARTS[0])
    wait_until_idle(teach, qtbot)
    draw_stroke(teach, 0, BACKGROUND[0])
    qtbot.waitUntil(shown.is_set, timeout=60_000)
    qtbot.waitUntil(lambda: prediction(teach) is not None, timeout=60_000)
    draw_stroke(teach, 0, OBJECT_STARTS[1])
    qtbot.waitUntil(waiting.is_set, timeout=60_000)
    session = teach.session
    qtbot.waitUntil(lambda: session.instant and session.instant.strokes == 3, timeout=60_000)
    wait_until_idle(teach, qtbot)
