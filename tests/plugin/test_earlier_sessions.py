"""Earlier sessions are listed with a picture, restored and deleted; a training can be continued."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from driving import (
    OBJECT_STARTS,
    TIMEOUT_MS,
    annotation,
    draw_stroke,
    draw_strokes,
    press,
    wait_until_idle,
)

from napari_emcad.io.autosave import find_recoveries, read_recovery
from napari_emcad.io.folder_lock import folder_lock
from napari_emcad.plugin.autosave import controller


def recoveries(dismissed=True):
    return find_recoveries(controller.recovery_root(), dismissed)


@pytest.fixture
def painted(make_napari_viewer, dock, nuclei, tmp_path, qtbot):
    """Close a window with one annotation of an image file, and return its values."""
    path = tmp_path / "nuclei.tif"
    tifffile.imwrite(path, nuclei)
    viewer = make_napari_viewer()
    viewer.open(path, plugin="napari")
    panel = dock(viewer)
    panel._tabs.setCurrentWidget(panel.teach.panel)
    press(qtbot, panel.teach.panel._new)
    draw_stroke(panel, 1, OBJECT_STARTS[0])
    draw_stroke(panel, 1, OBJECT_STARTS[1])
    wait_until_idle(panel, qtbot)
    values = annotation(panel).data.copy()
    viewer.close()
    return values


@pytest.fixture
def listed(painted, make_napari_viewer, dock, qtbot):
    """Return the panel of another window, whose list of earlier sessions is open."""
    panel = dock(make_napari_viewer())
    press(qtbot, panel.teach.panel.project._sessions)
    qtbot.waitUntil(lambda: panel.sessions.window._list.count() == 1, timeout=TIMEOUT_MS)
    return panel


def icon_colors(window):
    image = window._list.item(0).icon().pixmap(96, 96).toImage()
    return {
        image.pixelColor(x, y).name()
        for y in range(image.height())
        for x in range(image.width())
        if image.pixelColor(x, y).alpha()
    }


def test_the_list_shows_image_strokes_and_a_picture(listed, tmp_path):
    window = listed.sessions.window
    words = window._list.item(0).text()
    assert "nuclei: 2 strokes, " in words
    assert str(tmp_path / "nuclei.tif") in window._list.item(0).toolTip()
    colors = icon_colors(window)
    assert any(c[1:3] == c[3:5] == c[5:7] for c in colors)  # the gray image
    assert any(c[1:3] != c[5:7] for c in colors)  # the class
    assert not window.isModal()


def test_restore_opens_the_image_and_withdraws_the_offer(listed, painted, qtbot, nuclei):
    qtbot.waitUntil(lambda: bool(listed.recovery.recoveries), timeout=TIMEOUT_MS)
    press(qtbot, listed.sessions.window._restore)
    wait_until_idle(listed, qtbot)
    assert np.array_equal(annotation(listed).data, painted)
    assert np.array_equal(listed.viewer.layers["nuclei"].data, nuclei)
    assert not listed.recovery.recoveries
    assert not recoveries(dismissed=False)
    window = listed.sessions.window
    qtbot.waitUntil(lambda: "before" in window._list.item(0).text(), timeout=TIMEOUT_MS)


def test_a_missing_image_is_named(listed, tmp_path, qtbot):
    (tmp_path / "nuclei.tif").unlink()
    press(qtbot, listed.sessions.window._restore)
    wait_until_idle(listed, qtbot)
    assert "nuclei.tif cannot be opened" in listed.runner.message
    assert recoveries(dismissed=False)


def test_a_dismissed_session_is_still_listed(listed, qtbot):
    qtbot.waitUntil(lambda: bool(listed.recovery.recoveries), timeout=TIMEOUT_MS)
    press(qtbot, listed.recovery._dismiss)
    press(qtbot, listed.teach.panel.project._sessions)
    window = listed.sessions.window
    qtbot.waitUntil(lambda: "before" in window._list.item(0).text(), timeout=TIMEOUT_MS)
    press(qtbot, window._restore)
    wait_until_idle(listed, qtbot)
    assert annotation(listed).data.any()


def test_delete_asks_first(listed, qtbot):
    window = listed.sessions.window
    press(qtbot, window._delete)
    keep, delete = sorted(listed.sessions.question.buttons(), key=lambda b: b.text() == "Delete")
    press(qtbot, keep)
    assert len(recoveries()) == 1
    press(qtbot, window._delete)
    delete = next(b for b in listed.sessions.question.buttons() if b.text() == "Delete")
    press(qtbot, delete)
    qtbot.waitUntil(lambda: window._list.count() == 0, timeout=TIMEOUT_MS)
    assert not recoveries()
    assert not window._restore.isEnabled()
    assert not window._delete.isEnabled()
    assert window._note.text() == "No earlier session is kept."
    assert not listed.recovery.recoveries


def test_a_session_that_runs_elsewhere_is_not_deleted(listed, qtbot):
    (recovery,) = recoveries()
    with folder_lock(recovery.folder):
        press(qtbot, listed.sessions.window._delete)
        delete = next(b for b in listed.sessions.question.buttons() if b.text() == "Delete")
        press(qtbot, delete)
        assert "cannot be deleted" in listed.runner.message
    assert len(recoveries()) == 1


def test_damaged_files_hide_no_session(listed, qtbot):
    (recovery,) = recoveries()
    (recovery.folder / "paint-1.npz").write_bytes(b"PK nonsense")
    press(qtbot, listed.teach.panel.project._sessions)
    window = listed.sessions.window
    qtbot.waitUntil(lambda: "strokes" not in window._list.item(0).text(), timeout=TIMEOUT_MS)
    assert window._list.count() == 1


def test_a_training_interrupted_by_closing_the_dock_is_continued(teach, qtbot, dock, training_gate):
    draw_strokes(teach, qtbot)
    teach.teach.panel.form.set_steps(30)
    press(qtbot, teach.teach.panel._train)
    qtbot.waitUntil(training_gate.begun.is_set, timeout=TIMEOUT_MS)
    session, thread, viewer = teach.session, teach.runner._job.thread, teach.viewer
    assert teach.teach.interrupted.isHidden()
    teach.parent().destroyOnClose()
    training_gate.set()
    assert thread.wait(30)
    again = dock(viewer)
    strip = again.teach.interrupted
    qtbot.waitUntil(lambda: not strip.isHidden(), timeout=TIMEOUT_MS)
    left = session.steps_left
    assert 0 < left <= 30
    assert f"{left} steps before its end" in strip._text.text()
    wait_until_idle(again, qtbot)
    again.teach.panel.form._batch.setValue(1)
    again.teach.panel.form._crop.setValue(64)
    press(qtbot, strip._continue)
    qtbot.waitUntil(lambda: len(session.versions) == 3, timeout=TIMEOUT_MS)
    assert strip.isHidden()
    assert again.teach.panel.form.value().steps == left


def test_a_training_interrupted_by_closing_the_window_is_offered_with_its_model(
    own_viewer, teach, qtbot, training_gate, make_napari_viewer, dock, nuclei
):
    draw_strokes(teach, qtbot)
    teach.teach.panel.form.set_steps(30)
    press(qtbot, teach.teach.panel._train)
    qtbot.waitUntil(training_gate.begun.is_set, timeout=TIMEOUT_MS)
    thread = teach.runner._job.thread
    teach.viewer.close()
    training_gate.set()
    assert thread.wait(30)
    (recovery,) = recoveries()
    assert 0 < recovery.steps_left <= 30
    assert read_recovery(recovery)[1] is not None
    viewer = make_napari_viewer()
    viewer.add_image(nuclei, name="nuclei")
    panel = dock(viewer)
    qtbot.waitUntil(lambda: bool(panel.recovery.recoveries), timeout=TIMEOUT_MS)
    press(qtbot, panel.recovery._restore)
    wait_until_idle(panel, qtbot)
    assert not panel.teach.interrupted.isHidden()
    press(qtbot, panel.teach.interrupted._dismiss)
    assert panel.teach.interrupted.isHidden()
