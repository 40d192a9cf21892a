"""Instant on the Teach tab: strokes are predicted without a training."""

from __future__ import annotations

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
    def fail(*_):
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
