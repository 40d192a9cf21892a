"""No work is lost without a word: docks and windows that close, full disks, read-only folders."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
from driving import (
    BACKGROUND,
    OBJECT_STARTS,
    TIMEOUT_MS,
    annotation,
    draw_stroke,
    draw_strokes,
    press,
    train,
    wait_until_idle,
)
from qtpy.QtCore import QSettings

from napari_emcad.io.autosave import find_recoveries, read_recovery
from napari_emcad.plugin import settings
from napari_emcad.plugin.autosave import controller


def recoveries():
    return find_recoveries(controller.recovery_root())


def close_dock(panel):
    panel.parent().destroyOnClose()  # what the x of a dock calls


def settle(qtbot):
    qtbot.wait(50)


@pytest.fixture
def next_panel(make_napari_viewer, dock, nuclei, qtbot):
    """Return a function that opens another viewer with the same image, and its panel."""

    def open_next():
        viewer = make_napari_viewer()
        viewer.add_image(nuclei, name="nuclei")
        panel = dock(viewer)
        qtbot.waitUntil(lambda: bool(panel.recovery.recoveries), timeout=TIMEOUT_MS)
        return panel

    return open_next


def test_unsaved_paint_and_model_of_a_closed_window_are_offered_by_the_next(
    own_viewer, teach, qtbot, next_panel
):
    draw_strokes(teach, qtbot)
    train(teach, qtbot)
    draw_stroke(teach, 1, OBJECT_STARTS[1])  # neither scanned nor autosaved yet
    values, title = annotation(teach).data.copy(), teach.session.checkpoint.title
    teach.viewer.close()
    panel = next_panel()
    assert "was closed on" in panel.recovery._text.text()
    press(qtbot, panel.recovery._restore)
    wait_until_idle(panel, qtbot)
    assert np.array_equal(annotation(panel).data, values)
    assert panel.session.checkpoint.title == title
    assert not recoveries()
    panel.viewer.close()  # without another stroke
    assert [(r.annotations, r.model) for r in recoveries()] == [(1, True)]


def test_the_training_of_a_closed_window_is_offered_by_the_next(
    own_viewer, teach, qtbot, training_gate, next_panel
):
    draw_strokes(teach, qtbot)
    press(qtbot, teach.teach.panel._train)
    qtbot.waitUntil(training_gate.begun.is_set, timeout=TIMEOUT_MS)
    thread = teach.runner._job.thread
    teach.viewer.close()
    training_gate.set()
    assert thread.wait(30)
    (recovery,) = recoveries()
    assert recovery.ended
    assert read_recovery(recovery)[1].history[-1]["event"].startswith("trained")


@pytest.mark.parametrize("ended_before", [False, True])
def test_the_training_of_a_closed_dock_is_a_version(
    teach, qtbot, dock, training_gate, ended_before, capsys
):
    draw_strokes(teach, qtbot)
    press(qtbot, teach.teach.panel._train)
    qtbot.waitUntil(training_gate.begun.is_set, timeout=TIMEOUT_MS)
    session, thread, viewer = teach.session, teach.runner._job.thread, teach.viewer
    if ended_before:  # but its result was not delivered yet
        training_gate.set()
        assert thread.wait(30)
    close_dock(teach)
    training_gate.set()
    assert thread.wait(30)
    qtbot.waitUntil(lambda: len(session.versions) == 2, timeout=TIMEOUT_MS)
    assert "stopped because its panel was closed" in capsys.readouterr().out
    again = dock(viewer)
    assert again.session.versions.current.how == "trained"
    assert not again.recovery.recoveries


def test_strokes_painted_after_the_dock_was_closed_are_kept(own_viewer, teach, qtbot):
    draw_stroke(teach, 1, OBJECT_STARTS[0])
    wait_until_idle(teach, qtbot)
    labels, viewer = annotation(teach), teach.viewer
    close_dock(teach)
    labels.paint((80, 90), 1)
    settle(qtbot)
    viewer.close()
    (recovery,) = recoveries()
    (saved,), _, problems = read_recovery(recovery)
    assert not problems
    assert np.array_equal(saved.labels, labels.data)


def test_work_that_is_in_a_file_or_gone_is_not_offered(own_viewer, teach, qtbot, tmp_path, finish):
    draw_strokes(teach, qtbot)
    train(teach, qtbot)
    teach.autosave.saver.save()
    qtbot.waitUntil(lambda: not teach.autosave.saver.saving, timeout=TIMEOUT_MS)
    teach.model.controller.save_file(tmp_path / "mine.safetensors")
    finish(teach)
    labels = annotation(teach)
    labels.data_setitem(np.nonzero(labels.data), 0)
    teach.viewer.close()
    assert not recoveries()


def test_a_stroke_during_the_closing_pause_is_saved(own_viewer, teach, qtbot):
    """A stroke is noticed a moment after it was painted; the window may close before."""
    teach.teach.annotating.paint(0)
    annotation(teach).paint(BACKGROUND[0], 255)
    teach.viewer.close()
    (recovery,) = recoveries()
    assert (read_recovery(recovery)[0][0].labels == 255).any()


# -- full disks and read-only folders


@pytest.fixture
def no_settings(tmp_path, monkeypatch):
    """Let nothing be written below the recovery folder and the settings folder."""
    file = tmp_path / "a file"
    file.write_text("and no folder")
    monkeypatch.setattr(controller, "recovery_root", lambda: file / "recovery")
    for scope in (QSettings.Scope.UserScope, QSettings.Scope.SystemScope):
        QSettings.setPath(QSettings.Format.IniFormat, scope, str(file / "config"))
    return file


def test_without_writable_settings_everything_else_works(
    no_settings, teach, qtbot, finish, tmp_path
):
    draw_strokes(teach, qtbot)
    teach.autosave.saver.save()
    qtbot.waitUntil(lambda: not teach.autosave.saver.saving, timeout=TIMEOUT_MS)
    assert "cannot be autosaved" in teach.job_bar.message
    assert str(no_settings) in teach.job_bar.message
    train(teach, qtbot)
    assert teach.session.versions.current.how == "trained"
    teach.model.controller.save_file(tmp_path / "mine.safetensors")
    finish(teach)
    assert "Saved as" in teach.job_bar.message
    assert "config" in teach.job_bar.message  # which cannot be written
    teach.model.controller.open_file(tmp_path / "mine.safetensors")
    finish(teach)
    assert teach.session.checkpoint.origin.path == str(tmp_path / "mine.safetensors")
    assert teach.model.panel._choice.currentText() == "mine.safetensors"


def test_a_disk_that_is_full_after_a_training_costs_no_model(
    own_viewer, teach, qtbot, finish, tmp_path, monkeypatch
):
    draw_strokes(teach, qtbot)
    with monkeypatch.context() as full:

        def write_bytes(*_):
            raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path))

        for module in ("io.autosave", "io.checkpoints.files"):
            full.setattr(f"napari_emcad.{module}.write_bytes", write_bytes)
        train(teach, qtbot)
        teach.autosave.saver.save()
        qtbot.waitUntil(lambda: not teach.autosave.saver.saving, timeout=TIMEOUT_MS)
        assert "No space left" in teach.job_bar.message
        version = teach.session.versions.current
        teach.model.controller.save_version(version, tmp_path / "mine.safetensors")
        finish(teach)
        assert "No space left" in teach.job_bar.message
    assert teach.session.versions.current is version
    teach.model.controller.save_version(version, tmp_path / "mine.safetensors")
    finish(teach)
    assert (tmp_path / "mine.safetensors").exists()
    teach.viewer.close()
    assert [(r.annotations, r.model) for r in recoveries()] == [(1, False)]


def test_recent_files_of_any_kind_do_not_prevent_a_panel(panel, monkeypatch):
    def is_file(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    settings.add_recent_file(Path(__file__))
    monkeypatch.setattr(Path, "is_file", is_file)
    assert settings.recent_files() == []
