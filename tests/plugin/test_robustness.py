"""Robustness: errors, memory, deleted layers, closed windows and unusual images."""

from __future__ import annotations

import gc
import socket
import threading
import time
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from napari.layers import Labels
from qtpy.QtCore import QCoreApplication, QEvent, Qt, QTimer

import napari_emcad
from napari_emcad.inference.events import Region
from napari_emcad.inference.network_pool import NETWORK_POOL
from napari_emcad.model.network import PvtEmcad
from napari_emcad.plugin.runner.thread import JobThread


def click(qtbot, panel):
    qtbot.mouseClick(panel.segment.panel._run, Qt.MouseButton.LeftButton)


def results(panel):
    return [layer for layer in panel.viewer.layers if isinstance(layer, Labels)]


def networks():
    """Return all networks in memory."""
    gc.collect()
    return [obj for obj in gc.get_objects() if type(obj) is PvtEmcad]


def headless(image, **options):
    checkpoint = napari_emcad.bundled_checkpoint()
    return napari_emcad.segment(image, checkpoint, device="cpu", **options).labels


@pytest.fixture
def gate(monkeypatch):
    """Return an event that predictions wait for; the first of them sets its `begun`."""
    opened, original = threading.Event(), PvtEmcad.predict
    opened.begun = threading.Event()

    def predict(self, x, head="finest", zoom=1.0):
        opened.begun.set()
        assert opened.wait(60)
        return original(self, x, head, zoom)

    monkeypatch.setattr(PvtEmcad, "predict", predict)
    yield opened
    opened.set()


@pytest.fixture
def stack(viewer, dock, nuclei):
    """Return a panel on a stack whose slices are segmented one by one."""
    viewer.add_image(np.stack([nuclei] * 6), name="stack", axis_labels=("z", "y", "x"))
    panel = dock(viewer)
    panel.segment.panel._scope.setCurrentIndex(panel.segment.panel._scope.findData("layer"))
    panel.segment.panel._advanced._batch.setValue(1)
    return panel


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        torch.OutOfMemoryError("CUDA out of memory."),
        StopIteration("from somewhere inside"),
        MemoryError(),
        ValueError("odd"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_in_the_job_enables_the_button_again(panel, finish, qtbot, monkeypatch, error):
    """H1, H20: after any error the progress bar is hidden, the message shown, and Run works."""
    with monkeypatch.context() as broken:

        def predict(*_):
            raise type(error)(*error.args)  # anew: a traceback would keep the network alive

        broken.setattr(PvtEmcad, "predict", predict)
        click(qtbot, panel)
        finish(panel)
    assert panel.segment.panel._run.isEnabled()
    assert not panel.job_bar._strip.isVisible()
    assert "Segmented in" not in panel.job_bar.message
    assert panel.job_bar.message
    click(qtbot, panel)
    finish(panel)
    assert "Segmented in" in panel.job_bar.message
    assert results(panel)[0].data.any()


def test_out_of_memory_is_reported_and_smaller_patches_are_used(
    panel, finish, qtbot, monkeypatch, nuclei
):
    """H14: smaller patches are tried, the result is complete, and the message mentions it."""
    original = PvtEmcad.predict

    def predict(self, x, head="finest", zoom=1.0):
        if x.shape[-1] > 64:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return original(self, x, head, zoom)

    monkeypatch.setattr(PvtEmcad, "predict", predict)
    click(qtbot, panel)
    finish(panel)
    assert "Memory ran out" in panel.job_bar.message
    np.testing.assert_array_equal(results(panel)[0].data, headless(nuclei, tile=96))


def test_the_job_runs_in_another_thread(panel, finish, qtbot, monkeypatch):
    """H2, H3: the window handles events while the network computes, which waits for them here."""
    threads, alive, original = [], [], PvtEmcad.predict
    computing, handled = threading.Event(), threading.Event()

    def predict(self, x, head="finest", zoom=1.0):
        threads.append(threading.current_thread())
        computing.set()
        alive.append(handled.wait(60))
        return original(self, x, head, zoom)

    monkeypatch.setattr(PvtEmcad, "predict", predict)
    timer = QTimer()
    timer.timeout.connect(lambda: handled.set() if computing.is_set() else None)
    timer.start(5)
    click(qtbot, panel)
    finish(panel)
    timer.stop()
    assert threads
    assert threading.main_thread() not in threads
    assert all(alive)


def test_napari_is_changed_on_the_main_thread_only(panel, finish, qtbot, monkeypatch):
    """H6."""
    threads, refresh = set(), Labels.refresh

    def watched(self, *given, **named):
        threads.add(threading.current_thread())
        return refresh(self, *given, **named)

    monkeypatch.setattr(Labels, "refresh", watched)
    click(qtbot, panel)
    finish(panel)
    assert threads == {threading.main_thread()}


def test_stop_ends_after_the_batch_and_keeps_finished_slices(stack, finish, qtbot, monkeypatch):
    """H20, H26: the button shows the pending stop, and the network goes to the pool."""
    answered, original = [], PvtEmcad.predict

    def predict(self, x, head="finest", zoom=1.0):
        answered.append(len(x))
        if len(answered) == 2:
            stop_pressed.wait(30)
        return original(self, x, head, zoom)

    stop_pressed = threading.Event()
    monkeypatch.setattr(PvtEmcad, "predict", predict)
    before = {id(network) for network in networks()}
    click(qtbot, stack)
    qtbot.waitUntil(lambda: len(answered) == 2, timeout=60_000)
    assert stack.job_bar._strip.isVisibleTo(stack)
    qtbot.mouseClick(stack.job_bar._stop, Qt.MouseButton.LeftButton)
    assert stack.job_bar._stop.text() == "Stopping …"
    assert not stack.job_bar._stop.isEnabled()
    stop_pressed.set()
    finish(stack)
    assert len(answered) == 2
    (layer,) = results(stack)
    assert layer.data[:2].any(axis=(1, 2)).all()
    assert not layer.data[2:].any()
    assert "Stopped after 2 of 6 slices" in stack.job_bar.message
    NETWORK_POOL.clear()
    assert {id(network) for network in networks()} <= before


@pytest.mark.parametrize("how", ["dock", "viewer"])
def test_closing_during_a_job_ends_it(own_viewer, stack, viewer, qtbot, gate, how):
    """H5: the window does not wait for the batch, which lasts until the gate is opened."""
    click(qtbot, stack)
    thread = stack.runner._job.thread
    layer = results(stack)[0]
    qtbot.waitUntil(gate.begun.is_set, timeout=60_000)
    if how == "dock":
        viewer.window.remove_dock_widget(stack.parent())
        assert stack.session.running is None
        assert layer.editable
    else:
        viewer.close()
        qtbot.wait(10)
    assert not thread.wait(0)
    gate.set()
    assert thread.wait(20)
    qtbot.wait(50)


def test_layers_may_be_renamed_reordered_and_hidden_during_the_job(
    panel, finish, qtbot, gate, nuclei
):
    """H7: layers are referenced as objects, not by name."""
    source = panel.viewer.layers["nuclei"]
    click(qtbot, panel)
    (layer,) = results(panel)
    source.name, layer.name = layer.name, "nuclei"
    panel.viewer.layers.move(0, 2)
    layer.visible = False
    gate.set()
    finish(panel)
    np.testing.assert_array_equal(layer.data, headless(nuclei))
    assert len(panel.viewer.layers) == 2


def test_the_image_may_be_deleted_during_the_job(panel, finish, qtbot, gate, nuclei):
    """H7: the job keeps a reference to the image data."""
    click(qtbot, panel)
    panel.viewer.layers.remove("nuclei")
    gate.set()
    finish(panel)
    np.testing.assert_array_equal(results(panel)[0].data, headless(nuclei))


def test_a_result_deleted_during_the_job_is_added_again(panel, finish, qtbot, gate, nuclei):
    """H7: a finished result is always shown."""
    click(qtbot, panel)
    panel.viewer.layers.remove(results(panel)[0])
    gate.set()
    finish(panel)
    np.testing.assert_array_equal(results(panel)[0].data, headless(nuclei))


@pytest.mark.parametrize(("answer", "layers"), [("Stop and discard", 1), ("Go on", 2)])
def test_deleting_a_result_during_the_job_asks_what_to_do(
    panel, finish, qtbot, gate, answer, layers
):
    click(qtbot, panel)
    panel.viewer.layers.remove(results(panel)[0])
    box = panel.segment.controller._question
    assert box.text() == "Stop and discard?"
    [button] = [one for one in box.buttons() if one.text() == answer]
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    gate.set()
    finish(panel)
    assert len(panel.viewer.layers) == layers
    click(qtbot, panel)  # a discarded result does not come back, nor is it in the way
    finish(panel)
    assert len(panel.viewer.layers) == 2
    assert results(panel)[0].data.any()


def test_a_question_ends_with_its_job(panel, finish, qtbot, gate):
    click(qtbot, panel)
    panel.viewer.layers.remove(results(panel)[0])
    gate.set()
    finish(panel)
    qtbot.waitUntil(lambda: panel.segment.controller._question is None)


def test_a_new_result_hides_its_predecessor(panel, finish, qtbot):
    click(qtbot, panel)
    finish(panel)
    [first] = results(panel)
    first.paint((5, 5), 1)  # an edited result is kept, and the next one gets a layer of its own
    panel.segment.panel._separate.setChecked(True)
    click(qtbot, panel)
    finish(panel)
    [first, second] = results(panel)
    assert not first.visible
    assert second.visible


def test_a_result_belongs_to_its_image_and_model(panel, finish, qtbot, gate, nuclei):
    """H8: choosing another image and another model during the job changes nothing."""
    click(qtbot, panel)
    other = panel.viewer.add_image(255 - nuclei[::-1], name="other")
    panel.context.image_input.set_layer(other)
    panel.session.open(panel.session.checkpoint.override(classes=["something else"]))
    gate.set()
    finish(panel)
    (layer,) = results(panel)
    assert layer.name == "nuclei segmentation"
    assert list(layer.features["class"])[1] == "nucleus"
    np.testing.assert_array_equal(layer.data, headless(nuclei))


def test_the_result_of_a_slice_does_not_follow_the_slider(stack, finish, qtbot, gate):
    """H8: moving the slider during the job does not move the result."""
    panel = stack
    panel.segment.panel._scope.setCurrentIndex(panel.segment.panel._scope.findData("slice"))
    panel.viewer.dims.set_current_step(0, 1)
    click(qtbot, panel)
    panel.viewer.dims.set_current_step(0, 4)
    gate.set()
    finish(panel)
    (layer,) = results(panel)
    assert layer.data.any(axis=(1, 2)).nonzero()[0].tolist() == [1]


def test_late_events_of_an_abandoned_job_are_ignored(panel):
    """H8: only events of the current job are accepted."""
    session = panel.session
    events = []
    session.job_event.connect(lambda ticket, event: events.append(event))
    old = session.begin("Old job")
    session.end(old)
    assert not session.accept(old, "late")
    assert events == []


def test_large_labels_widen_the_data_type_of_the_layer(panel, finish, qtbot):
    """H11: in uint16, 70,000 would overflow silently."""
    panel.segment.panel._separate.setChecked(True)
    click(qtbot, panel)
    finish(panel)
    result = panel.segment.controller._context.results._results[0]
    result.fill(Region((slice(0, 1), slice(0, 1)), np.full((1, 1), 70_000, np.uint32), None))
    assert result.layer.data[0, 0] == 70_000
    assert result.reusable


def test_nothing_is_downloaded(panel, finish, qtbot, monkeypatch):
    """H24: the bundled model works with the network off."""

    def refuse(*_):
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    panel.model.controller.open_bundled()
    finish(panel)
    click(qtbot, panel)
    finish(panel)
    assert "Segmented in" in panel.job_bar.message


def _odd_images():
    rng = np.random.default_rng(3)
    plain = rng.integers(0, 200, (40, 50)).astype(np.uint8)
    holes = plain.astype(np.float32)
    holes[::7, ::5], holes[3, 3], holes[4, 4] = np.nan, np.inf, -np.inf
    frozen = plain.copy()
    frozen.setflags(write=False)
    return {
        "NaN and inf": holes,
        "all NaN": np.full((40, 50), np.nan, np.float32),
        "constant": np.full((40, 50), 7, np.uint16),
        "one pixel": np.array([[5]], np.uint8),
        "one row": plain[:1],
        "huge float64": plain.astype(np.float64) * 1e300,
        "bool": plain > 100,
        "uint32": plain.astype(np.uint32) * 20_000_000,
        "int64": plain.astype(np.int64) - 100,
        "float16": plain.astype(np.float16),
        "big-endian": plain.astype(">u2"),
        "read-only": frozen,
        "non-contiguous": np.repeat(plain, 2, 1)[:, ::2],
        "Fortran order": np.asfortranarray(plain),
    }


@pytest.mark.filterwarnings("ignore::RuntimeWarning:napari|numpy")
def test_unusual_images_give_the_result_of_the_python_function(viewer, dock, finish, qtbot):
    """H28."""
    panel = dock(viewer)
    for name, image in _odd_images().items():
        layer = viewer.add_image(image, name=name, contrast_limits=(0, 1))
        panel.context.image_input.set_layer(layer)
        assert panel.segment.panel._run.isEnabled(), name
        click(qtbot, panel)
        finish(panel)
        assert "Segmented in" in panel.job_bar.message, (name, panel.job_bar.message)
        labels = viewer.layers[f"{name} segmentation"].data
        empty = name == "all NaN"
        warned = pytest.warns(napari_emcad.IntensityRangeWarning) if empty else nullcontext()
        with warned:
            expected = headless(image, axes="YX")
        np.testing.assert_array_equal(labels, expected, err_msg=name)


def test_an_abandoned_thread_ends_without_further_events(qtbot):
    """H5: an abandoned job emits no more events and ends at its next step."""
    steps, received = [], []

    def job(stop):
        while not stop.is_set():
            steps.append(1)
            yield "step"
            time.sleep(0.01)

    thread = JobThread(job)
    thread.yielded.connect(received.append)
    thread.start()
    qtbot.waitUntil(lambda: len(received) > 2)
    thread.abandon()
    assert thread.wait(5)
    count = len(received)
    qtbot.wait(50)
    assert len(received) == count


def _delete(thread):
    """Delete the object behind a thread as Qt does when the application ends."""
    thread.deleteLater()
    QCoreApplication.sendPostedEvents(thread, QEvent.Type.DeferredDelete)
    with pytest.raises(RuntimeError):
        thread.objectName()


def test_a_thread_that_qt_has_deleted_can_be_abandoned(qtbot):
    """A panel keeps its last thread, which Qt deletes once it has ended."""
    outcomes = []

    def job(stop):
        yield from ()
        return "result"

    thread = JobThread(job)
    with qtbot.waitSignal(thread.ended):
        thread.start()
    assert thread.wait(5)
    qtbot.wait(20)
    with pytest.raises(RuntimeError):
        thread.objectName()
    thread.abandon(outcomes.append)
    assert [outcome.result for outcome in outcomes] == ["result"]


def test_a_thread_ends_quietly_when_qt_deletes_it_first(qtbot, recwarn):
    """The application may end before the job; pytest turns an error in a thread into a warning."""
    opened = threading.Event()

    def job(stop):
        opened.wait(30)
        yield "event"
        assert not stop.is_set()
        yield "event"

    thread = JobThread(job)
    thread.start()
    _delete(thread)
    opened.set()
    assert thread.wait(5)
    assert not [str(warning.message) for warning in recwarn if "thread" in str(warning.message)]
