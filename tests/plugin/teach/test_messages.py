"""A message leaves with its cause, counts fall with strokes, and no training runs unseen."""

from __future__ import annotations

import numpy as np
from driving import (
    OBJECT_STARTS,
    TIMEOUT_MS,
    annotation,
    draw_stroke,
    draw_strokes,
    press,
    train,
    wait_until_idle,
)


def test_an_error_leaves_when_its_cause_is_gone(teach, qtbot):
    teach.teach.training.train()
    wait_until_idle(teach, qtbot)
    assert teach.job_bar.message == "Paint a few strokes first."
    draw_stroke(teach, 1, OBJECT_STARTS[0])
    wait_until_idle(teach, qtbot)
    assert teach.job_bar.message == ""


def test_a_message_about_a_job_leaves_with_the_job(teach, qtbot):
    ticket = teach.session.begin("Segmenting something")
    teach.teach.training.train()
    assert "Segmenting something" in teach.job_bar.message
    teach.session.end(ticket)
    wait_until_idle(teach, qtbot)
    assert teach.job_bar.message == ""


def test_a_missing_annotation_is_named_until_there_is_one(panel, qtbot):
    panel.teach.annotating.paint(1)
    assert "Make an annotation layer first" in panel.job_bar.message
    press(qtbot, panel.teach.panel._new)
    wait_until_idle(panel, qtbot)
    assert panel.job_bar.message == ""


def test_copied_pixels_are_not_announced_after_an_undo(teach, qtbot):
    draw_strokes(teach, qtbot)
    train(teach, qtbot)
    teach.teach.annotating.correct()
    wait_until_idle(teach, qtbot)
    assert "pixels copied; Ctrl+Z" in teach.job_bar.message
    annotation(teach).undo()
    wait_until_idle(teach, qtbot)
    assert teach.job_bar.message == ""


def test_a_message_without_a_cause_stays(teach, qtbot):
    teach.context.show_message("Saved as mine.safetensors.")
    draw_stroke(teach, 1, OBJECT_STARTS[0])
    wait_until_idle(teach, qtbot)
    assert teach.job_bar.message == "Saved as mine.safetensors."


def shown_strokes(panel, k):
    return int(panel.teach.panel.classes._rows.item(k, 3).text())


def test_the_number_of_strokes_falls_when_they_are_erased_or_undone(teach, qtbot):
    draw_strokes(teach, qtbot, 3)
    assert (shown_strokes(teach, 0), shown_strokes(teach, 1)) == (3, 3)
    for _ in range(8):  # the test's strokes are painted step by step
        annotation(teach).undo()
    wait_until_idle(teach, qtbot)
    assert sum(shown_strokes(teach, k) for k in (0, 1)) == 5
    labels = annotation(teach)
    labels.data_setitem(np.nonzero(labels.data == 1), 0)
    wait_until_idle(teach, qtbot)
    assert shown_strokes(teach, 1) == 0
    draw_stroke(teach, 1, OBJECT_STARTS[0])
    wait_until_idle(teach, qtbot)
    assert shown_strokes(teach, 1) == 1


def test_a_training_whose_layers_were_all_removed_stops(teach, qtbot, training_gate):
    teach.teach.panel.form._steps.setValue(10_000)
    draw_strokes(teach, qtbot)
    press(qtbot, teach.teach.panel._train)
    qtbot.waitUntil(training_gate.begun.is_set, timeout=TIMEOUT_MS)
    teach.viewer.layers.clear()
    assert teach.job_bar._stop.text() == "Stopping …"
    training_gate.set()
    wait_until_idle(teach, qtbot)
    assert "Stopped" in teach.job_bar.message
    assert len(teach.session.versions) == 2
