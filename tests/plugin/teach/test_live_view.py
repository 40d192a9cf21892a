"""In Live and Instant mode what is visible is predicted when slider and camera rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from driving import (
    BACKGROUND,
    OBJECT_STARTS,
    TIMEOUT_MS,
    choose_quick_training,
    draw_stroke,
    draw_strokes,
    prediction,
    press,
    wait_until_idle,
)

import napari_emcad


@pytest.fixture
def stack(viewer, dock, nuclei, qtbot):
    """Return a panel with strokes of two classes on the first of three slices."""
    viewer.add_image(np.stack([nuclei] * 3), name="stack", axis_labels=("z", "y", "x"))
    viewer.dims.set_point(0, 0)
    panel = dock(viewer)
    panel._tabs.setCurrentWidget(panel.teach.panel)
    choose_quick_training(panel, steps=1)
    press(qtbot, panel.teach.panel._new)
    draw_stroke(panel, 1, (0, *OBJECT_STARTS[0]))
    draw_stroke(panel, 0, (0, *BACKGROUND[0]))
    wait_until_idle(panel, qtbot)
    return panel


def live(panel, qtbot, button="_live"):
    press(qtbot, getattr(panel.teach.panel, button))
    qtbot.waitUntil(lambda: predicted(panel, 0), timeout=TIMEOUT_MS)
    settle(panel, qtbot)


def settle(panel, qtbot):
    """Wait until sliders rest, strokes are scanned and no job runs."""
    panel.teach.preview._follow_soon.flush()
    wait_until_idle(panel, qtbot)
    qtbot.wait(20)
    wait_until_idle(panel, qtbot)


def predicted(panel, z):
    """Whether a slice was filled; the tiny network predicts the discs."""
    layer = prediction(panel)
    return layer is not None and bool(np.any(layer.data[z]))


def move(panel, qtbot, z):
    panel.viewer.dims.set_point(0, z)
    settle(panel, qtbot)


def test_another_slice_is_predicted_when_the_slider_rests(stack, qtbot):
    live(stack, qtbot)
    count = len(stack.session.versions)
    assert not predicted(stack, 1)
    move(stack, qtbot, 1)
    assert predicted(stack, 1)
    assert len(stack.session.versions) == count  # nothing was learned


def test_without_live_the_slider_predicts_nothing(stack, qtbot):
    live(stack, qtbot)
    press(qtbot, stack.teach.panel._live)
    move(stack, qtbot, 2)
    assert not predicted(stack, 2)


def test_a_slice_of_the_same_model_stays(stack, qtbot):
    live(stack, qtbot)
    move(stack, qtbot, 1)
    first = prediction(stack).data[1].copy()
    move(stack, qtbot, 2)
    assert predicted(stack, 2)
    np.testing.assert_array_equal(prediction(stack).data[1], first)


def test_a_new_stroke_clears_what_the_model_before_has_predicted(stack, qtbot):
    live(stack, qtbot)
    move(stack, qtbot, 1)
    assert predicted(stack, 1)
    move(stack, qtbot, 0)
    count = len(stack.session.versions)
    draw_stroke(stack, 1, (0, *OBJECT_STARTS[1]))
    qtbot.waitUntil(lambda: len(stack.session.versions) > count, timeout=TIMEOUT_MS)
    settle(stack, qtbot)
    assert predicted(stack, 0)
    assert not predicted(stack, 1)
    move(stack, qtbot, 1)
    assert predicted(stack, 1)


def test_another_version_clears_what_the_model_before_has_predicted(stack, qtbot):
    live(stack, qtbot)
    move(stack, qtbot, 1)
    move(stack, qtbot, 0)
    opened = next(iter(stack.session.versions))
    stack.teach.training.go_to(opened)
    settle(stack, qtbot)
    assert predicted(stack, 0)
    assert not predicted(stack, 1)


def test_a_model_that_is_opened_predicts_what_is_visible(stack, qtbot):
    live(stack, qtbot)
    before = prediction(stack).data.copy()
    seen = []
    stack.session.running_changed.connect(lambda ticket: seen.append(ticket and ticket.verb))
    stack.session.open(replace(napari_emcad.bundled_checkpoint(), title="another"))
    qtbot.waitUntil(lambda: "Predicting" in seen, timeout=TIMEOUT_MS)
    settle(stack, qtbot)
    assert predicted(stack, 0)
    assert prediction(stack).data.shape == before.shape


def test_instant_follows_the_slider(stack, qtbot):
    live(stack, qtbot, "_instant")
    move(stack, qtbot, 1)
    assert predicted(stack, 1)
    assert stack.teach.instant.shown_model is stack.session.instant


def test_a_view_that_was_predicted_is_not_predicted_again(stack, qtbot):
    live(stack, qtbot)
    move(stack, qtbot, 1)
    started = []
    stack.session.running_changed.connect(started.append)
    stack.teach.preview.rested.emit()
    settle(stack, qtbot)
    assert not started


def test_a_job_is_waited_for(stack, qtbot):
    live(stack, qtbot)
    ticket = stack.session.begin("Segmenting")
    stack.viewer.dims.set_point(0, 1)
    stack.teach.preview._follow_soon.flush()
    assert not predicted(stack, 1)
    stack.session.end(ticket)
    qtbot.waitUntil(lambda: predicted(stack, 1), timeout=TIMEOUT_MS)


def test_a_zoomed_view_shows_one_network_alone(teach, qtbot):
    draw_strokes(teach, qtbot)
    press(qtbot, teach.teach.panel._live)
    qtbot.waitUntil(lambda: prediction(teach) is not None, timeout=TIMEOUT_MS)
    settle(teach, qtbot)
    camera = teach.viewer.scene.camera
    camera.zoom *= 8
    settle(teach, qtbot)
    count = len(teach.session.versions)
    draw_stroke(teach, 0, BACKGROUND[2])
    qtbot.waitUntil(lambda: len(teach.session.versions) > count, timeout=TIMEOUT_MS)
    settle(teach, qtbot)
    visible = teach.teach.preview.visible.slices
    rows, columns = visible.scope.rows, visible.scope.columns
    outside = prediction(teach).data.copy()
    outside[slice(*rows), slice(*columns)] = 0
    assert not outside.any()
