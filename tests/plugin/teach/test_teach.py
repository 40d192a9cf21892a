"""The Teach tab: annotate, train, correct, return to a version; and errors during training."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from driving import (
    BACKGROUND,
    OBJECT_STARTS,
    TIMEOUT_MS,
    annotation,
    draw_stroke,
    draw_strokes,
    networks,
    prediction,
    press,
    train,
    wait_until_idle,
)
from napari.layers import Labels
from qtpy.QtCore import Qt, QTimer

import napari_emcad
from napari_emcad.inference.network_pool import NETWORK_POOL
from napari_emcad.io.checkpoints.files import read_checkpoint
from napari_emcad.plugin.annotations.layer import new_annotation
from napari_emcad.training.trainer import Trainer


@pytest.fixture
def gate(training_gate):
    """Return an event; training steps wait until it is set."""
    return training_gate


def test_strokes_train_a_version_that_segment_uses(teach, qtbot, tmp_path):
    before = teach.session.checkpoint
    draw_strokes(teach, qtbot)
    train(teach, qtbot)
    opened, trained = teach.session.versions
    assert (opened.how, trained.how) == ("opened", "trained")
    assert teach.session.checkpoint is trained.checkpoint is not before
    assert trained.checkpoint.parent == before.origin.sha256
    assert "Trained" in teach.job_bar.message
    assert prediction(teach) is not None
    press(qtbot, teach.segment.panel._run)
    wait_until_idle(teach, qtbot)
    result = next(layer for layer in teach.viewer.layers if layer.name.endswith("segmentation"))
    expected = napari_emcad.segment(teach.viewer.layers["nuclei"].data, trained.checkpoint)
    assert np.array_equal(result.data, expected.labels)
    teach.model.controller.save_version(trained, tmp_path / "mine.safetensors")
    wait_until_idle(teach, qtbot)
    saved = read_checkpoint(tmp_path / "mine.safetensors")
    assert saved.parent == before.origin.sha256
    assert saved.history[-1]["event"] == "trained on 1 slice"


def test_the_table_counts_annotated_pixels(teach, qtbot):
    draw_strokes(teach, qtbot, 2)
    record = teach.session.project.record
    labels = annotation(teach).data
    assert record.pixel_counts == {0: int((labels == 255).sum()), 1: int((labels == 1).sum())}
    assert record.strokes == {0: 2, 1: 2}
    rows = teach.teach.panel.classes._rows
    assert rows.item(1, 2).text() == f"{record.pixel_counts[1]:,}"


def test_a_click_on_a_class_selects_layer_label_and_brush(teach, qtbot):
    labels = annotation(teach)
    teach.viewer.layers.selection.active = teach.viewer.layers["nuclei"]
    labels.visible, labels.mode = False, "pan_zoom"
    rows = teach.teach.panel.classes._rows
    qtbot.mouseClick(
        rows.viewport(),
        Qt.MouseButton.LeftButton,
        pos=rows.visualItemRect(rows.item(0, 1)).center(),
    )
    assert teach.viewer.layers.selection.active is labels
    assert (labels.visible, str(labels.mode), labels.selected_label) == (True, "paint", 255)
    assert rows.currentRow() == 0


def test_the_reason_names_what_training_needs(panel, qtbot):
    reason = panel.teach.panel._reason
    panel.teach.view.show()
    assert "annotation layer" in reason.text()
    assert not panel.teach.panel._train.isEnabled()
    press(qtbot, panel.teach.panel._new)
    wait_until_idle(panel, qtbot)
    panel.teach.view.show()
    assert "strokes" in reason.text()
    draw_stroke(panel, 1, OBJECT_STARTS[0])
    wait_until_idle(panel, qtbot)
    panel.teach.view.show()
    assert panel.teach.panel._train.isEnabled()
    assert "second class" in panel.teach.panel._score.text()


def test_cancel_adds_no_version_and_stop_keeps_the_best_epoch(teach, qtbot, gate):
    draw_strokes(teach, qtbot)
    teach.teach.panel.form._steps.setValue(500)
    before = teach.session.checkpoint
    for button, versions in ((teach.job_bar._cancel, 1), (teach.job_bar._stop, 2)):
        gate.clear()
        gate.begun.clear()
        qtbot.waitUntil(teach.teach.panel._train.isEnabled, timeout=TIMEOUT_MS)
        press(qtbot, teach.teach.panel._train)
        qtbot.waitUntil(gate.begun.is_set, timeout=TIMEOUT_MS)
        assert button.text() == ("Discard" if versions == 1 else "Stop, keep")
        press(qtbot, button)
        gate.set()
        wait_until_idle(teach, qtbot)
        assert len(teach.session.versions) == versions
    assert teach.session.versions.current.how == "trained"
    assert next(iter(teach.session.versions)).checkpoint is before


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes"), torch.OutOfMemoryError("CUDA out of memory."), MemoryError()]
)
def test_an_error_in_the_training_loop_enables_the_buttons_again(teach, qtbot, monkeypatch, error):
    """H1, H20."""
    draw_strokes(teach, qtbot)
    with monkeypatch.context() as broken:

        def step(*_, **__):
            raise type(error)(*error.args)  # a stored error would keep the network alive

        broken.setattr(Trainer, "step", step)
        train(teach, qtbot)
        assert teach.job_bar.message
        assert len(teach.session.versions) == 1
    teach.teach.view.show()
    assert teach.teach.panel._train.isEnabled()
    train(teach, qtbot)
    assert len(teach.session.versions) == 2


def test_training_runs_in_another_thread_and_the_window_stays_responsive(teach, qtbot, monkeypatch):
    """H2, H3, H4."""
    draw_strokes(teach, qtbot)
    threads, alive, step = set(), [], Trainer.step
    learning, handled = threading.Event(), threading.Event()

    def recording(self, *args, **kwargs):
        threads.add(threading.current_thread())
        learning.set()
        alive.append(handled.wait(60))
        return step(self, *args, **kwargs)

    monkeypatch.setattr(Trainer, "step", recording)
    timer = QTimer()
    timer.timeout.connect(lambda: handled.set() if learning.is_set() else None)
    timer.start(10)
    train(teach, qtbot)
    assert threading.main_thread() not in threads
    assert threads
    assert all(alive)


@pytest.mark.slow
def test_ten_trainings_leave_no_network_in_memory(teach, qtbot):
    """H15, H16."""
    before = networks()
    draw_strokes(teach, qtbot)
    teach.teach.panel.form._steps.setValue(1)
    for _ in range(10):
        train(teach, qtbot)
    assert len(teach.session.versions) == 11
    assert len(networks() - before) <= 2  # those that the pool keeps for the next job
    NETWORK_POOL.clear()
    assert networks() <= before


@pytest.mark.parametrize("which", ["image", "annotation", "prediction"])
def test_a_layer_may_be_removed_during_training(teach, qtbot, gate, which):
    """H7."""
    draw_strokes(teach, qtbot)
    press(qtbot, teach.teach.panel._train)
    qtbot.waitUntil(gate.begun.is_set, timeout=TIMEOUT_MS)
    layers = {
        "image": teach.viewer.layers["nuclei"],
        "annotation": annotation(teach),
        "prediction": prediction(teach),
    }
    teach.viewer.layers.remove(layers[which])
    gate.set()
    wait_until_idle(teach, qtbot)
    assert len(teach.session.versions) == 2
    teach.teach.view.show()
    assert (teach.teach.annotating.pair is None) == (which != "prediction")


def test_training_continues_when_its_image_is_renamed_and_hidden(teach, qtbot, gate):
    """H7."""
    draw_strokes(teach, qtbot)
    press(qtbot, teach.teach.panel._train)
    qtbot.waitUntil(gate.begun.is_set, timeout=TIMEOUT_MS)
    image = teach.viewer.layers["nuclei"]
    image.name, image.visible = "renamed", False
    teach.viewer.layers.move(0, len(teach.viewer.layers) - 1)
    gate.set()
    wait_until_idle(teach, qtbot)
    assert len(teach.session.versions) == 2
    assert next(iter(teach.session.project.entries.values())).name == "renamed"


def test_closing_the_dock_ends_the_training(teach, qtbot, gate):
    """H5, H26: the job ends after its current step, and what it has learned is a version."""
    draw_strokes(teach, qtbot)
    press(qtbot, teach.teach.panel._train)
    qtbot.waitUntil(gate.begun.is_set, timeout=TIMEOUT_MS)
    session, thread = teach.session, teach.runner._job.thread
    teach.viewer.window.remove_dock_widget(teach.parent())
    gate.set()
    assert thread.wait(10)
    assert session.running is None
    qtbot.waitUntil(lambda: len(session.versions) == 2, timeout=TIMEOUT_MS)


def test_closing_one_of_two_windows_closes_its_autosave_folder(
    dock, qtbot, make_napari_viewer, nuclei
):
    """H5, H23: the work of a closed window is unlocked, to be offered by the next one."""
    make_napari_viewer()
    viewer = make_napari_viewer(show=True)
    viewer.add_image(nuclei, name="nuclei")
    panel = dock(viewer)
    panel._tabs.setCurrentWidget(panel.teach.panel)
    press(qtbot, panel.teach.panel._new)
    draw_stroke(panel, 1, OBJECT_STARTS[0])
    wait_until_idle(panel, qtbot)
    panel.autosave.saver.save()
    qtbot.waitUntil(lambda: not panel.autosave.saver.saving, timeout=TIMEOUT_MS)
    folder = panel.autosave.saver.folder.folder
    panel.session.begin("Training something")
    viewer.close()
    assert (folder / "ended").exists()
    assert not (folder / ".in-use").exists()
    assert panel.session.running is None


def test_a_reopened_panel_finds_its_annotations(teach, qtbot, dock):
    viewer = teach.viewer
    draw_strokes(teach, qtbot)
    viewer.window.remove_dock_widget(teach.parent())
    again = dock(viewer)
    assert len(again.annotations.pairs) == 1
    stroke_layer = again.annotations.pairs[0].labels
    again.teach.annotating.paint(1)
    assert again.teach.annotating.pair.labels is stroke_layer


def test_live_mode_learns_new_strokes_and_keeps_its_trainer(teach, qtbot):
    before = networks()
    draw_strokes(teach, qtbot)
    press(qtbot, teach.teach.panel._live)
    wait_until_idle(teach, qtbot)
    live_trainer = teach.teach.training._live_trainer
    assert live_trainer is not None
    versions = len(teach.session.versions)
    draw_stroke(teach, 1, OBJECT_STARTS[1])
    qtbot.waitUntil(lambda: len(teach.session.versions) > versions, timeout=TIMEOUT_MS)
    wait_until_idle(teach, qtbot)
    assert teach.teach.training._live_trainer is live_trainer
    del live_trainer
    assert teach.session.versions.current.how == "live"
    assert teach.session.versions.current.strokes == 3
    teach.teach.view.show()
    assert teach.teach.panel._live.text() == "Live: waits for strokes"
    press(qtbot, teach.teach.panel._live)
    wait_until_idle(teach, qtbot)
    assert networks() <= before


def test_train_waits_for_a_running_update(teach, qtbot, gate):
    gate.set()
    draw_strokes(teach, qtbot)
    gate.clear()
    gate.begun.clear()
    press(qtbot, teach.teach.panel._update)
    qtbot.waitUntil(gate.begun.is_set, timeout=TIMEOUT_MS)
    teach.teach.view.show()
    press(qtbot, teach.teach.panel._train)
    qtbot.waitUntil(lambda: not teach.teach.training.queue._scanner.scanning, timeout=TIMEOUT_MS)
    assert teach.teach.training.updating
    gate.set()
    wait_until_idle(teach, qtbot)
    assert [version.how for version in teach.session.versions] == ["opened", "live", "trained"]


def test_a_stroke_during_another_job_is_learned_live_after_it(teach, qtbot):
    draw_strokes(teach, qtbot)
    press(qtbot, teach.teach.panel._live)
    wait_until_idle(teach, qtbot)
    count = len(teach.session.versions)
    ticket = teach.session.begin("Segmenting something")
    draw_stroke(teach, 1, OBJECT_STARTS[1])
    wait_until_idle(teach, qtbot)
    assert teach.teach.training._pending
    teach.session.end(ticket)
    qtbot.waitUntil(lambda: len(teach.session.versions) > count, timeout=TIMEOUT_MS)
    wait_until_idle(teach, qtbot)


def test_opening_another_model_replaces_the_live_trainer(teach, qtbot):
    """H8: a live update starts from the open model."""
    draw_strokes(teach, qtbot)
    press(qtbot, teach.teach.panel._update)
    wait_until_idle(teach, qtbot)
    first = next(iter(teach.session.versions))
    teach.teach.training.go_to(first)
    wait_until_idle(teach, qtbot)
    assert teach.session.checkpoint is first.checkpoint
    press(qtbot, teach.teach.panel._update)
    wait_until_idle(teach, qtbot)
    assert teach.session.checkpoint.parent == first.checkpoint.origin.sha256
    assert len(teach.session.checkpoint.history) == len(first.checkpoint.history) + 1


def test_an_added_class_gets_a_head_and_the_others_keep_theirs(teach, qtbot):
    draw_strokes(teach, qtbot)
    press(qtbot, teach.teach.panel.classes._add)
    assert annotation(teach).selected_label == 2
    draw_stroke(teach, 2, BACKGROUND[2])
    wait_until_idle(teach, qtbot)
    train(teach, qtbot)
    assert [label.name for label in teach.session.checkpoint.classes] == ["nucleus", "class 2"]
    assert teach.session.checkpoint.config.num_classes == 3
    colors = prediction(teach).colormap.color_dict
    assert 2 in colors


def test_a_renamed_class_keeps_its_head(teach, qtbot):
    draw_strokes(teach, qtbot)
    before = teach.session.checkpoint
    teach.teach.classes.rename(1, "cell")
    start = teach.teach.training._task()[0].checkpoint
    assert [label.name for label in start.classes] == ["cell"]
    for name in before.tensors:
        assert np.array_equal(start.tensors[name], before.tensors[name]), name


def answer(teach, qtbot, title):
    buttons = teach.teach.removal.question.buttons()
    [button] = [button for button in buttons if button.text() == title]
    press(qtbot, button)


@pytest.mark.parametrize("title", ["Move to “nucleus”", "Erase", "Keep hidden", "Cancel"])
def test_the_strokes_of_a_removed_class_go_where_the_user_wants(teach, qtbot, title):
    draw_strokes(teach, qtbot)
    press(qtbot, teach.teach.panel.classes._add)
    draw_stroke(teach, 2, BACKGROUND[2])
    wait_until_idle(teach, qtbot)
    before, counts = annotation(teach).data.copy(), teach.session.project.record.pixel_counts
    teach.teach.panel.classes.show_current(2)
    press(qtbot, teach.teach.panel.classes._remove)
    answer(teach, qtbot, title)
    wait_until_idle(teach, qtbot)
    data, after = annotation(teach).data, teach.session.project.record.pixel_counts
    expected = {"Move to “nucleus”": 1, "Erase": 0}.get(title, 2)
    assert (data[before == 2] == expected).all()
    assert (data[before != 2] == before[before != 2]).all()
    assert after.get(1, 0) == counts[1] + (counts[2] if expected == 1 else 0)
    undo = teach.teach.panel.classes._undo
    assert undo.isHidden() == (title == "Cancel")
    if title != "Cancel":
        assert len(teach.session.project.classes) == 1
        press(qtbot, undo)
        wait_until_idle(teach, qtbot)
    assert np.array_equal(annotation(teach).data, before)
    assert teach.session.project.record.pixel_counts == counts
    assert len(teach.session.project.classes) == 2
    assert undo.isHidden()


def test_classes_that_change_while_the_question_is_open_are_not_mixed_up(teach, qtbot):
    draw_strokes(teach, qtbot)
    for k in (2, 3):
        press(qtbot, teach.teach.panel.classes._add)
        draw_stroke(teach, k, BACKGROUND[k])
    wait_until_idle(teach, qtbot)
    teach.teach.panel.classes.show_current(3)
    press(qtbot, teach.teach.panel.classes._remove)
    teach.teach.classes.remove(2)
    answer(teach, qtbot, "Keep hidden")
    assert [label.name for label in teach.session.project.classes] == ["nucleus"]
    qtbot.waitUntil(lambda: teach.teach.removal.question is None)


def test_a_class_without_strokes_is_removed_at_once(teach, qtbot):
    press(qtbot, teach.teach.panel.classes._add)
    teach.teach.panel.classes.show_current(2)
    press(qtbot, teach.teach.panel.classes._remove)
    assert teach.teach.removal.question is None
    assert len(teach.session.project.classes) == 1


def test_removing_a_class_changes_no_label(teach, qtbot):
    draw_strokes(teach, qtbot)
    press(qtbot, teach.teach.panel.classes._add)
    draw_stroke(teach, 2, BACKGROUND[2])
    wait_until_idle(teach, qtbot)
    before = annotation(teach).data.copy()
    teach.teach.panel.classes.show_current(2)
    press(qtbot, teach.teach.panel.classes._remove)
    answer(teach, qtbot, "Keep hidden")
    wait_until_idle(teach, qtbot)
    assert np.array_equal(annotation(teach).data, before)
    assert set(teach.session.project.record.pixel_counts) == {0, 1}


def test_a_removed_class_is_neither_painted_nor_copied(teach, qtbot):
    """H12: a removed class is not painted and not copied from the prediction."""
    draw_strokes(teach, qtbot)
    press(qtbot, teach.teach.panel.classes._add)
    draw_stroke(teach, 2, BACKGROUND[2])
    wait_until_idle(teach, qtbot)
    train(teach, qtbot)
    prediction(teach).data[:48], prediction(teach).data[48:] = 1, 2
    teach.teach.classes.remove(2)
    labels = annotation(teach)
    assert labels.selected_label == 1
    before = labels.data.copy()
    press(qtbot, teach.teach.panel._correct)
    copied = labels.data != before
    assert copied.any()
    assert set(labels.data[copied]) == {1}


def test_a_prediction_is_not_editable_and_is_copied_by_correct(teach, qtbot):
    """H10, H12."""
    draw_strokes(teach, qtbot)
    train(teach, qtbot)
    layer = prediction(teach)
    assert not layer.editable
    assert teach.viewer.layers.selection.active is annotation(teach)
    before, predicted = annotation(teach).data.copy(), layer.data.copy()
    press(qtbot, teach.teach.panel._correct)
    labels_after = annotation(teach).data
    assert np.array_equal(labels_after[before > 0], before[before > 0])
    copied = labels_after > 0
    expected = np.where(predicted == 0, 255, predicted)
    assert np.array_equal(labels_after[copied & (before == 0)], expected[copied & (before == 0)])
    annotation(teach).undo()
    assert np.array_equal(annotation(teach).data, before)


def test_a_mask_of_0_and_255_has_the_meaning_mask(panel, qtbot, nuclei):
    """The meaning of the user's layer is detected and shown, and its data unchanged."""
    mask = panel.viewer.add_labels((nuclei > 100).astype(np.uint8) * 255, name="mine")
    before = mask.data.copy()
    panel.teach.annotating.use_layer(mask)
    wait_until_idle(panel, qtbot)
    (pair,) = panel.session.project.entries.values()
    assert pair.rule.meaning == "mask"
    assert panel.session.project.record.pixel_counts[1] == int((nuclei > 100).sum())
    assert "255" in panel.teach.panel._remark.text()
    assert np.array_equal(mask.data, before)
    assert panel.session.project.record.held_out_counts


def test_numbered_objects_are_one_class(panel, qtbot, nuclei):
    from scipy import ndimage

    numbered, _ = ndimage.label(nuclei > 100)
    layer = panel.viewer.add_labels(numbered, name="mine")
    panel.teach.annotating.use_layer(layer)
    wait_until_idle(panel, qtbot)
    (pair,) = panel.session.project.entries.values()
    assert pair.rule.meaning == "objects"
    assert panel.session.project.record.pixel_counts[1] == int((nuclei > 100).sum())


def test_a_layer_of_another_size_is_refused(panel, qtbot):
    odd = panel.viewer.add_labels(np.zeros((20, 30), np.uint8), name="odd")
    panel.teach.annotating.use_layer(odd)
    assert "must agree" in panel.job_bar.message
    assert not panel.session.project.entries


def test_an_annotation_of_a_removed_image_is_refused_for_another_size(teach, qtbot, nuclei):
    labels = annotation(teach)
    teach.viewer.layers.remove("nuclei")
    teach.viewer.add_image(nuclei[:50, :60], name="smaller")
    teach.teach.annotating.use_layer(labels)
    assert "must agree" in teach.job_bar.message
    assert not teach.session.project.entries


def test_a_read_only_layer_is_used_for_training_but_is_not_editable(panel, qtbot, nuclei):
    mask = (nuclei > 100).astype(np.uint8)
    mask.setflags(write=False)
    layer = panel.viewer.add_labels(mask, name="mine")
    panel.teach.annotating.use_layer(layer)
    wait_until_idle(panel, qtbot)
    assert panel.session.project.record.pixel_counts
    panel.teach.annotating.paint(1)
    assert "read-only" in panel.job_bar.message
    assert layer.mode != "paint"
    panel.teach.preview.refresh()
    wait_until_idle(panel, qtbot)
    panel.teach.annotating.correct()
    assert "read-only" in panel.job_bar.message


def test_classes_are_painted_on_the_chosen_image_only(teach, qtbot, nuclei):
    """H12."""
    other = teach.viewer.add_image(nuclei, name="other")
    teach.context.image_input.set_layer(other)
    teach.teach.annotating.paint(1)
    assert "annotation layer first" in teach.job_bar.message
    assert teach.viewer.layers.selection.active is other
    teach.context.image_input.set_layer(teach.viewer.layers["nuclei"])
    teach.teach.annotating.paint(1)
    assert teach.teach.annotating.pair.image.name == "nuclei"


def test_a_label_without_a_class_is_reported(teach, qtbot):
    annotation(teach).data[10:14, 10:30] = 9
    annotation(teach).refresh()
    wait_until_idle(teach, qtbot)
    teach.teach.view.show()
    assert "9" in teach.teach.panel._reason.text()
    assert not teach.teach.panel._train.isEnabled()
    annotation(teach).data[10:14, 10:30] = 0
    annotation(teach).refresh()
    draw_strokes(teach, qtbot)
    teach.teach.view.show()
    assert teach.teach.panel._train.isEnabled()


@pytest.mark.parametrize("odd", ["nan", "constant", "bool"])
def test_unusual_images_can_be_trained_on(viewer, dock, qtbot, nuclei, odd):
    """H28."""
    images = {
        "nan": np.where(nuclei > 100, np.nan, nuclei.astype(np.float32)),
        "constant": np.full_like(nuclei, 7),
        "bool": nuclei > 100,
    }
    viewer.add_image(images[odd].astype(np.uint8) if odd == "bool" else images[odd], name="odd")
    panel = dock(viewer)
    form = panel.teach.panel.form
    form._steps.setValue(1)
    form._crop.setValue(64)
    press(qtbot, panel.teach.panel._new)
    draw_strokes(panel, qtbot)
    train(panel, qtbot)
    weights = panel.session.checkpoint.tensors.values()
    assert all(np.isfinite(tensor).all() for tensor in weights)
    assert len(panel.session.versions) == 2


def test_a_stack_is_trained_on_its_annotated_slices(viewer, dock, qtbot, nuclei):
    stack = np.stack([nuclei] * 4)
    turned = [[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]]
    viewer.add_image(
        stack, name="stack", axis_labels=("z", "y", "x"), scale=(2, 1, 1), rotate=turned
    )
    panel = dock(viewer)
    panel.teach.panel.form._steps.setValue(1)
    panel.teach.panel.form._crop.setValue(64)
    press(qtbot, panel.teach.panel._new)
    labels = annotation(panel)
    assert labels.data.shape == stack.shape
    image = viewer.layers["stack"]
    for corner in ((0, 0, 0), (3, 95, 127)):
        assert np.allclose(labels.data_to_world(corner), image.data_to_world(corner), atol=1e-9)
    assert labels.units == image.units
    assert labels.axis_labels == image.axis_labels
    for at, k in (((1, 24, 30), 1), ((3, 8, 60), 0)):
        draw_stroke(panel, k, at)
        wait_until_idle(panel, qtbot)
    assert {key.index for key in panel.session.project.record.patches} == {(1,), (3,)}
    train(panel, qtbot)
    assert panel.session.checkpoint.history[-1]["event"] == "trained on 2 slices"


def test_a_huge_image_gets_an_annotation_of_its_visible_part(viewer, dock, qtbot, monkeypatch):
    """H13."""
    for module in ("layer", "fit"):
        monkeypatch.setattr(f"napari_emcad.plugin.annotations.{module}.LARGEST", 200 * 200)
    viewer.add_image(np.zeros((400, 600), np.uint8), name="huge", scale=(0.5, 0.5))
    layer = viewer.layers["huge"]
    layer.corner_pixels = np.array([[100, 300], [250, 420]])
    made = new_annotation(layer, "YX")
    assert made.data.size <= 200 * 200
    corner = made.metadata["napari-emcad"]["corner"]
    assert np.allclose(made.data_to_world((0, 0)), layer.data_to_world(corner))
    panel = dock(viewer)
    viewer.add_layer(made)
    panel.teach.annotating.use_layer(made)
    draw_stroke(panel, 1, (5, 5))
    wait_until_idle(panel, qtbot)
    (patch,) = panel.session.project.record.patches.values()
    rows, columns = np.nonzero(patch.target == 1)
    assert rows.min() >= corner[0]
    assert columns.min() >= corner[1]


def test_channels_are_chosen_again_for_another_model_and_annotations_stay(
    viewer, dock, qtbot, nuclei
):
    viewer.add_image(np.stack([nuclei] * 5), name="five", axis_labels=("c", "y", "x"))
    panel = dock(viewer)
    panel.teach.panel.form._steps.setValue(1)
    panel.teach.panel.form._crop.setValue(64)

    def choose(channel):
        for box in panel.segment.panel._axes._channels:
            box.setCurrentIndex(box.findData(channel))
            box.activated.emit(box.currentIndex())

    choose(1)
    press(qtbot, panel.teach.panel._new)
    draw_strokes(panel, qtbot)
    before = panel.session.project.record
    panel.session.open(napari_emcad.initialize_checkpoint(num_classes=1, input_channels=1))
    panel.teach.training.train()
    wait_until_idle(panel, qtbot)
    assert "Segment tab" in panel.job_bar.message
    assert panel.session.project.record is before
    choose(3)
    train(panel, qtbot)
    assert panel.session.versions.current.how == "trained"


def test_enabled_images_are_trained_on_together(viewer, dock, qtbot, nuclei):
    for name in ("one", "two"):
        viewer.add_image(nuclei, name=name)
    panel = dock(viewer)
    panel.teach.panel.form._steps.setValue(1)
    panel.teach.panel.form._crop.setValue(64)
    for name in ("one", "two"):
        panel.context.image_input.set_layer(viewer.layers[name])
        press(qtbot, panel.teach.panel._new)
        draw_strokes(panel, qtbot)
    train(panel, qtbot)
    assert panel.session.checkpoint.history[-1]["event"] == "trained on 2 slices"
    first = next(iter(panel.session.project.entries))
    panel.session.project.change_entry(first, enabled=False)
    train(panel, qtbot)
    assert panel.session.checkpoint.history[-1]["event"] == "trained on 1 slice"


def test_autosaved_work_is_offered_after_a_crash_and_restored(
    teach, qtbot, dock, make_napari_viewer
):
    """H23."""
    draw_strokes(teach, qtbot)
    train(teach, qtbot)
    labels_before = annotation(teach).data.copy()
    teach.autosave.saver.save()
    qtbot.waitUntil(lambda: not teach.autosave.saver.saving, timeout=TIMEOUT_MS)
    teach.autosave.saver.folder._lock.close()  # as the end of the process does
    viewer = make_napari_viewer()
    viewer.add_image(np.asarray(teach.viewer.layers["nuclei"].data), name="nuclei")
    again = dock(viewer)
    qtbot.waitUntil(lambda: bool(again.recovery.recoveries), timeout=TIMEOUT_MS)
    press(qtbot, again.recovery._restore)
    wait_until_idle(again, qtbot)
    (pair,) = again.annotations.pairs
    assert np.array_equal(pair.labels.data, labels_before)
    assert "chosen again" in again.job_bar.message
    assert again.session.checkpoint.title == teach.session.checkpoint.title
    assert again.session.project.record.pixel_counts == teach.session.project.record.pixel_counts
    assert not again.recovery.recoveries


def test_an_added_class_is_restored_once_no_job_runs(
    teach, qtbot, dock, make_napari_viewer, nuclei
):
    """H23: the model is restored before the classes of the annotations."""
    draw_strokes(teach, qtbot)
    train(teach, qtbot)
    press(qtbot, teach.teach.panel.classes._add)
    draw_stroke(teach, 2, BACKGROUND[2])
    wait_until_idle(teach, qtbot)
    teach.autosave.saver.save()
    qtbot.waitUntil(lambda: not teach.autosave.saver.saving, timeout=TIMEOUT_MS)
    teach.autosave.saver.folder._lock.close()  # as the end of the process does
    viewer = make_napari_viewer()
    viewer.add_image(nuclei, name="nuclei")
    again = dock(viewer)
    qtbot.waitUntil(lambda: bool(again.recovery.recoveries), timeout=TIMEOUT_MS)
    ticket = again.session.begin("Opening something")
    press(qtbot, again.recovery._restore)
    assert "after that" in again.job_bar.message
    assert not again.annotations.pairs
    again.session.end(ticket)
    press(qtbot, again.recovery._restore)
    wait_until_idle(again, qtbot)
    assert again.session.checkpoint.title == teach.session.checkpoint.title
    assert again.session.project.classes == teach.session.project.classes
    assert set(again.session.project.record.pixel_counts) == {0, 1, 2}
    assert not again.recovery.recoveries


def test_a_failed_autosave_is_tried_again(teach, qtbot, monkeypatch):
    draw_stroke(teach, 1, OBJECT_STARTS[0])
    wait_until_idle(teach, qtbot)
    folder_type = type(teach.autosave.saver.folder)
    with monkeypatch.context() as full:

        def save_annotation(*_):
            raise OSError("No space left on device")

        full.setattr(folder_type, "save_annotation", save_annotation)
        teach.autosave.saver.save()
        qtbot.waitUntil(lambda: not teach.autosave.saver.saving, timeout=TIMEOUT_MS)
        assert "No space left" in teach.job_bar.message
    teach.autosave.saver.save()
    qtbot.waitUntil(lambda: not teach.autosave.saver.saving, timeout=TIMEOUT_MS)
    assert list(teach.autosave.saver.folder.folder.glob("paint-*"))


def test_a_version_keeps_its_base_checkpoint_with_overrides(teach, qtbot):
    draw_strokes(teach, qtbot)
    assert teach.teach.training._task()[0].base is None
    teach.session.override(zoom=1.0)
    filled = teach.session.checkpoint
    assert teach.teach.training._task()[0].base is None
    for _ in range(2):
        train(teach, qtbot)
        assert teach.session.versions.current.base is filled
        assert teach.teach.training._task()[0].base.preprocessing == filled.preprocessing
    teach.teach.training.go_to(next(iter(teach.session.versions)))
    wait_until_idle(teach, qtbot)
    assert teach.teach.training._task()[0].base is None


def test_compare_shows_a_version_in_its_own_layer(teach, qtbot):
    draw_strokes(teach, qtbot)
    train(teach, qtbot)
    first = next(iter(teach.session.versions))
    count = len([layer for layer in teach.viewer.layers if isinstance(layer, Labels)])
    teach.teach.preview.compare(first)
    wait_until_idle(teach, qtbot)
    layers = [layer for layer in teach.viewer.layers if isinstance(layer, Labels)]
    assert len(layers) == count + 1
    assert any("version 1" in layer.name for layer in layers)
    assert teach.session.versions.current is not first


def test_training_from_random_weights(teach, qtbot):
    draw_strokes(teach, qtbot)
    form, before = teach.teach.panel.form, teach.session.checkpoint
    form._start.setCurrentIndex(form._start.findData("nothing"))
    train(teach, qtbot)
    after = teach.session.checkpoint
    assert after.preprocessing == before.preprocessing
    assert after.classes == before.classes
    assert not np.allclose(
        after.tensors["heads.stage1.weight"], before.tensors["heads.stage1.weight"]
    )


def test_an_encoder_that_cannot_be_downloaded_gives_one_message(teach, qtbot, monkeypatch):
    """H24: offline, the message is shown and the next training works."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    draw_strokes(teach, qtbot)
    form = teach.teach.panel.form
    form._start.setCurrentIndex(form._start.findData("imagenet"))
    train(teach, qtbot)
    assert "cannot be fetched" in teach.job_bar.message
    assert len(teach.session.versions) == 1
    form._start.setCurrentIndex(form._start.findData("model"))
    train(teach, qtbot)
    assert len(teach.session.versions) == 2
