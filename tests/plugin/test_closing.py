"""Closing the window asks what becomes of unsaved work; nothing else waits for an answer."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
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
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_emcad.io.autosave import find_recoveries, read_recovery
from napari_emcad.io.project_folder import read_project
from napari_emcad.plugin.autosave import controller
from napari_emcad.plugin.autosave.close_question import CANCEL, DISCARD, KEEP, SAVE, CloseQuestion
from napari_emcad.plugin.autosave.written import UnsavedWork


class _ClientMessage(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("serial", ctypes.c_ulong),
        ("send_event", ctypes.c_int),
        ("display", ctypes.c_void_p),
        ("window", ctypes.c_ulong),
        ("message_type", ctypes.c_ulong),
        ("format", ctypes.c_int),
        ("data", ctypes.c_long * 5),
        ("rest", ctypes.c_long * 24),
    )


def click_close(window):
    """Ask a window to close as a window manager does when the user clicks on its button."""
    if QApplication.platformName() != "xcb":
        pytest.skip("needs X11")
    x11 = ctypes.CDLL("libX11.so.6")
    x11.XOpenDisplay.restype, x11.XInternAtom.restype = ctypes.c_void_p, ctypes.c_ulong
    display = ctypes.c_void_p(x11.XOpenDisplay(None))
    atoms = [x11.XInternAtom(display, name, 0) for name in (b"WM_PROTOCOLS", b"WM_DELETE_WINDOW")]
    client_message, window_id = 33, int(window.winId())
    event = _ClientMessage(client_message, 0, 1, display, window_id, atoms[0], 32)
    event.data[0] = atoms[1]
    x11.XSendEvent(display, ctypes.c_ulong(window_id), 0, 0, ctypes.byref(event))
    x11.XCloseDisplay(display)


@pytest.fixture
def shown(make_napari_viewer, dock, nuclei, qtbot):
    """Return a panel of a shown window with one annotation."""
    from napari.settings import get_settings

    viewer = make_napari_viewer(show=True)
    window = viewer.window._qt_window
    get_settings().application.confirm_close_window = False  # napari's own question
    viewer.add_image(nuclei, name="nuclei")
    panel = dock(viewer)
    panel._tabs.setCurrentWidget(panel.teach.panel)
    panel.teach.panel.form._steps.setValue(2)
    panel.teach.panel.form._batch.setValue(1)
    panel.teach.panel.form._crop.setValue(64)
    press(qtbot, panel.teach.panel._new)
    wait_until_idle(panel, qtbot)
    yield panel
    if is_closed(window):
        del viewer.window._qt_window  # which the fixture of napari would close again


def is_closed(window):
    """Return whether a window is hidden, or Qt has deleted it already."""
    try:
        return not window.isVisible()
    except RuntimeError:
        return True


def window_of(panel):
    return panel.viewer.window._qt_window


def question_of(panel):
    return panel.context.saver.findChild(CloseQuestion).question


def ask(panel, qtbot):
    """Click on the button that closes the window, and return the question."""
    click_close(window_of(panel))
    qtbot.waitUntil(lambda: question_of(panel) is not None, timeout=TIMEOUT_MS)
    assert window_of(panel).isVisible()
    return question_of(panel)


def answer(question, title, qtbot):
    press(qtbot, next(one for one in question.buttons() if one.text() == title))


def recoveries():
    return find_recoveries(controller.recovery_root())


def test_without_work_the_window_closes_at_once(shown, qtbot):
    window = window_of(shown)
    click_close(window)
    qtbot.waitUntil(lambda: is_closed(window), timeout=TIMEOUT_MS)


def test_work_is_kept_for_later_by_default(shown, qtbot):
    draw_strokes(shown, qtbot)
    train(shown, qtbot)
    train(shown, qtbot)
    window, question = window_of(shown), ask(shown, qtbot)
    assert "1 annotation, the model and 1 earlier version of the model" in question.text()
    assert "only in a project" in question.informativeText()
    assert question.defaultButton().text() == KEEP
    assert not question.isModal()
    question.defaultButton().click()
    qtbot.waitUntil(lambda: is_closed(window), timeout=TIMEOUT_MS)
    assert [(r.annotations, r.model) for r in recoveries()] == [(1, True)]


def test_cancel_leaves_the_window_open_and_a_second_click_asks_again(shown, qtbot):
    draw_stroke(shown, 1, OBJECT_STARTS[0])
    question = ask(shown, qtbot)
    click_close(window_of(shown))
    qtbot.wait(100)
    assert question_of(shown) is question
    answer(question, CANCEL, qtbot)
    qtbot.waitUntil(lambda: question_of(shown) is None, timeout=TIMEOUT_MS)
    assert window_of(shown).isVisible()
    draw_stroke(shown, 1, OBJECT_STARTS[1])  # the panel works
    assert "1 annotation" in ask(shown, qtbot).text()


def test_discard_removes_what_was_autosaved(shown, qtbot):
    draw_strokes(shown, qtbot)
    train(shown, qtbot)
    shown.autosave.saver.save()
    qtbot.waitUntil(lambda: not shown.autosave.saver.saving, timeout=TIMEOUT_MS)
    folder = shown.autosave.saver.folder.folder
    assert folder.exists()
    window = window_of(shown)
    answer(ask(shown, qtbot), DISCARD, qtbot)
    qtbot.waitUntil(lambda: is_closed(window), timeout=TIMEOUT_MS)
    assert not folder.exists()
    assert not recoveries()


@pytest.mark.parametrize("docked", [True, False])
def test_save_writes_a_project_and_closes(shown, qtbot, tmp_path, monkeypatch, docked):
    draw_strokes(shown, qtbot)
    train(shown, qtbot)
    values, saver, window = annotation(shown).data.copy(), shown.context.saver, window_of(shown)
    if not docked:
        shown.parent().destroyOnClose()
    path = tmp_path / "cells.emcad"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    click_close(window)
    qtbot.waitUntil(lambda: saver.findChild(CloseQuestion).question is not None)
    answer(saver.findChild(CloseQuestion).question, SAVE, qtbot)
    qtbot.waitUntil(lambda: is_closed(window), timeout=TIMEOUT_MS)
    project = read_project(path)[0]
    assert np.array_equal(project.annotations[0].labels, values)
    assert project.versions[-1].about["how"] == "trained"
    assert not recoveries()


def test_a_project_that_cannot_be_written_leaves_the_window_open(
    shown, qtbot, tmp_path, monkeypatch
):
    draw_stroke(shown, 1, OBJECT_STARTS[0])
    (tmp_path / "file").write_text("no folder")
    path = tmp_path / "file" / "cells.emcad"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    answer(ask(shown, qtbot), SAVE, qtbot)
    qtbot.waitUntil(lambda: bool(shown.runner.message), timeout=TIMEOUT_MS)
    wait_until_idle(shown, qtbot)
    assert window_of(shown).isVisible()
    assert str(tmp_path / "file") in shown.runner.message


def test_work_that_cannot_be_autosaved_is_not_kept_for_later(shown, qtbot, tmp_path):
    (tmp_path / "recovery").write_text("no folder")
    draw_stroke(shown, 1, OBJECT_STARTS[0])
    wait_until_idle(shown, qtbot)
    shown.autosave.saver.save()
    qtbot.waitUntil(lambda: bool(shown.autosave.saver.problem), timeout=TIMEOUT_MS)
    question = ask(shown, qtbot)
    assert KEEP not in [one.text() for one in question.buttons()]
    assert "cannot be autosaved" in question.informativeText()
    assert question.defaultButton().text() == CANCEL


@pytest.mark.parametrize("again", [False, True])
def test_work_in_a_project_is_not_asked_about_unless_it_changed(teach, qtbot, tmp_path, again):
    draw_strokes(teach, qtbot)
    train(teach, qtbot)
    saver = teach.context.saver
    assert saver.unsaved_work() == UnsavedWork(1, True, 0)
    teach.project.save(tmp_path / "cells.emcad")
    wait_until_idle(teach, qtbot)
    assert not saver.unsaved_work()
    if again:
        draw_stroke(teach, 1, OBJECT_STARTS[1])  # which is not noticed yet
        assert saver.unsaved_work() == UnsavedWork(1, False, 0)
    saver.end()
    assert [(r.annotations, r.model) for r in recoveries()] == [(1, False)] * again


def test_an_annotation_without_its_image_is_unsaved_work(teach, viewer, qtbot, tmp_path):
    draw_strokes(teach, qtbot)
    saver, layer = teach.context.saver, annotation(teach)
    saver.save()
    qtbot.waitUntil(lambda: not saver.saving, timeout=TIMEOUT_MS)
    del viewer.layers["nuclei"]
    wait_until_idle(teach, qtbot)
    assert saver.unsaved_work() == UnsavedWork(1, False, 0)
    teach.project.save(tmp_path / "cells.emcad")
    wait_until_idle(teach, qtbot)
    assert not saver.unsaved_work()
    [saved] = read_project(tmp_path / "cells.emcad")[0].annotations
    assert np.array_equal(saved.labels, layer.data)
    layer.data_setitem((np.array([3]), np.array([4])), 1)
    assert saver.unsaved_work() == UnsavedWork(1, False, 0)


@pytest.mark.parametrize("removed", [False, True])
def test_strokes_after_the_image_was_removed_are_kept(teach, viewer, qtbot, removed):
    draw_strokes(teach, qtbot)
    saver, layer = teach.context.saver, annotation(teach)
    del viewer.layers["nuclei"]
    wait_until_idle(teach, qtbot)
    saver.save()
    qtbot.waitUntil(lambda: not saver.saving, timeout=TIMEOUT_MS)
    layer.data_setitem((np.array([3]), np.array([4])), 1)
    values = layer.data.copy()
    if removed:  # as napari does before it closes a viewer
        viewer.layers.remove(layer)
        assert not saver.unsaved_work()
    saver.end()
    [recovery] = recoveries()
    [saved] = read_recovery(recovery)[0]
    assert np.array_equal(saved.labels, values)
    assert saved.metadata["strokes"] > 0


def test_an_image_that_is_removed_without_a_panel_leaves_unsaved_work(
    own_viewer, teach, dock, qtbot
):
    draw_strokes(teach, qtbot)
    saver = teach.context.saver
    teach.parent().destroyOnClose()
    qtbot.wait(50)
    del own_viewer.layers["nuclei"]
    assert saver.unsaved_work() == UnsavedWork(1, False, 0)
    dock(own_viewer)
    assert saver.unsaved_work() == UnsavedWork(1, False, 0)


def test_a_layer_that_is_used_again_is_counted_once(teach, viewer, nuclei, qtbot):
    draw_strokes(teach, qtbot)
    layer, saver = annotation(teach), teach.context.saver
    del viewer.layers["nuclei"]
    wait_until_idle(teach, qtbot)
    image = viewer.add_image(nuclei, name="again")
    teach.context.image_input.set_layer(image)
    teach.teach.annotating.use_layer(layer)
    wait_until_idle(teach, qtbot)
    assert saver.unsaved_work().annotations == 1
    viewer.layers.remove(layer)
    assert not saver.unsaved_work()


def test_an_opened_project_is_not_asked_about(teach, viewer, qtbot, tmp_path):
    draw_strokes(teach, qtbot)
    train(teach, qtbot)
    teach.project.save(tmp_path / "cells.emcad")
    wait_until_idle(teach, qtbot)
    del viewer.layers["nuclei annotation"]
    wait_until_idle(teach, qtbot)
    teach.project.open(tmp_path / "cells.emcad")
    wait_until_idle(teach, qtbot)
    assert len(teach.annotations.pairs) == 1
    assert not teach.context.saver.unsaved_work()


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (UnsavedWork(2), "2 annotations"),
        (UnsavedWork(0, True), "the model"),
        (UnsavedWork(1, True), "1 annotation and the model"),
        (UnsavedWork(0, False, 3), "3 earlier versions of the model"),
    ],
)
def test_work_is_named(work, words):
    assert str(work) == words
