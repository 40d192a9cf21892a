"""Annotation layers: axes, channels, replaced data, autosave, conflicts and predictions."""

from __future__ import annotations

import copy
import threading

import numpy as np
import pytest
from driving import (
    BACKGROUND,
    OBJECT_STARTS,
    TIMEOUT_MS,
    annotation,
    choose_quick_training,
    draw_stroke,
    press,
    train,
    wait_until_idle,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.layers import Image, Labels

import napari_emcad
from napari_emcad.interactive.annotated_patches import read_window
from napari_emcad.plugin.annotations.layer import new_annotation
from napari_emcad.plugin.layers.channel_axis import broadcast_channels, without_channels
from napari_emcad.plugin.layers.geometry import unwrap


@pytest.fixture
def quick_dock(dock):
    """Return a function that docks the panel with settings of a quick training."""

    def quick_dock(viewer):
        panel = dock(viewer)
        choose_quick_training(panel)
        return panel

    return quick_dock


@pytest.fixture
def channels_within(viewer, quick_dock, nuclei):
    """Return the panel of an annotated ZCYX image of three slices and two channels."""
    planes = [np.roll(nuclei, 25 * z, axis=1) for z in range(3)]
    image = np.stack([np.stack([plane, plane // 2]) for plane in planes])
    viewer.add_image(image, name="cells", axis_labels=("z", "c", "y", "x"), scale=(2, 1, 1, 1))
    panel = quick_dock(viewer)
    for box in panel.segment.panel._axes._channels:
        box.setCurrentIndex(box.findData(0))
    panel.segment.panel._axes.changed.emit()
    panel.teach.annotating.new_annotation()
    return panel


def displayed_slice(labels):
    """Return the slice of a layer that is displayed."""
    return np.asarray(labels._slice.image.raw)


@settings(deadline=None, max_examples=60)
@given(
    st.permutations("ZCYX"),
    st.lists(
        st.tuples(
            st.sampled_from(["paint", "fill", "polygon", "setitem", "undo", "redo"]),
            st.tuples(*[st.integers(0, 3)] * 4),
            st.integers(0, 3),
            st.integers(2, 4),
        ),
        max_size=12,
    ),
)
def test_edits_share_one_array_across_channels_and_can_be_undone(order, edits):
    """Brush, bucket, polygon and direct writes, in 2 to 4 edited dimensions."""
    axes = "".join(order)
    sizes = dict(zip("ZCYX", (3, 2, 12, 14), strict=True))
    image = Image(np.zeros([sizes[a] for a in axes], np.uint8))
    labels = new_annotation(image, axes)
    label_values = without_channels(labels.data, axes)
    assert label_values.shape == tuple(sizes[a] for a in axes if a != "C")
    history, future = [label_values.copy()], []
    for how, at, value, dims in edits:
        position = [n % size for n, size in zip(at, labels.data.shape[-4:], strict=False)]
        labels.n_edit_dimensions = min(dims, labels.ndim)
        before = label_values.copy()
        if how == "paint":
            labels.paint(position, value)
        elif how == "fill":
            labels.fill(position, value)
        elif how == "polygon":
            labels.n_edit_dimensions = 2
            corners = [[*position[:-2], y, x] for y, x in ((0, 0), (0, 6), (7, 6))]
            labels.paint_polygon(corners, value)
        elif how == "setitem":
            labels.data_setitem(tuple(np.array([n, n]) for n in position), value)
        elif how == "undo" and len(history) > 1:
            labels.undo()
            future.append(history.pop())
            assert np.array_equal(label_values, history[-1])
        elif how == "redo" and future:
            labels.redo()
            history.append(future.pop())
            assert np.array_equal(label_values, history[-1])
        if how not in ("undo", "redo") and not np.array_equal(label_values, before):
            history.append(label_values.copy())
            future = []
        assert np.shares_memory(label_values, labels.data)
        assert np.array_equal(labels.data, broadcast_channels(label_values, axes, image.data.shape))


def test_a_stroke_is_on_its_slice_in_every_channel(channels_within, qtbot):
    panel, viewer = channels_within, channels_within.viewer
    labels, image = annotation(panel), viewer.layers["cells"]
    assert labels.ndim == image.ndim
    for z, c, k in ((1, 1, 1), (2, 0, 0)):
        viewer.dims.set_current_step((0, 1), (z, c))
        draw_stroke(panel, k, (z, c, 24, 30))
        wait_until_idle(panel, qtbot)
        value = 1 if k else 255
        for channel in (0, 1):
            viewer.dims.set_current_step(1, channel)
            point = image.data_to_world((z, channel, 24, 30))
            assert labels.get_value(point, world=True) == value
            assert displayed_slice(labels)[24, 30] == value
    record = panel.session.project.record
    assert {key.index for key in record.patches} == {(1,), (2,)}
    pair = panel.teach.annotating.pair
    assert pair.values.shape == (3, 96, 128)
    assert set(record.pixel_counts.items()) == {
        (1, int((pair.values == 1).sum())),
        (0, int((pair.values == 255).sum())),
    }
    train(panel, qtbot)
    assert panel.session.checkpoint.history[-1]["event"] == "trained on 2 slices"


def test_corrections_reach_every_channel(channels_within, qtbot):
    panel, viewer = channels_within, channels_within.viewer
    viewer.dims.set_current_step((0, 1), (1, 1))
    panel.teach.preview.refresh()
    wait_until_idle(panel, qtbot)
    predicted = viewer.layers["cells prediction"].data[1, 0]
    assert predicted.any()
    press(qtbot, panel.teach.panel._correct)
    values = panel.teach.annotating.pair.values
    assert np.array_equal(values[1] == 1, predicted == 1)
    assert not values[[0, 2]].any()
    assert np.array_equal(displayed_slice(annotation(panel)), values[1])
    annotation(panel).undo()
    assert not values.any()


def test_channels_are_saved_once_and_restored(channels_within, qtbot, dock, make_napari_viewer):
    """H23."""
    panel = channels_within
    draw_stroke(panel, 1, (1, 1, 24, 30))
    wait_until_idle(panel, qtbot)
    panel.autosave.saver.save()
    qtbot.waitUntil(lambda: not panel.autosave.saver.saving, timeout=TIMEOUT_MS)
    (path,) = panel.autosave.saver.folder.folder.glob("paint-*")
    with np.load(path) as saved:
        assert tuple(saved["shape"]) == (3, 96, 128)
    panel.autosave.saver.folder._lock.close()  # as the end of the process does
    viewer = make_napari_viewer()
    viewer.add_image(np.asarray(panel.viewer.layers["cells"].data), name="cells")
    again = dock(viewer)
    qtbot.waitUntil(lambda: bool(again.recovery.recoveries), timeout=TIMEOUT_MS)
    press(qtbot, again.recovery._restore)
    wait_until_idle(again, qtbot)
    (pair,) = again.annotations.pairs
    assert np.array_equal(pair.labels.data, annotation(panel).data)
    pair.labels.paint((0, 1, 50, 50), 1)
    assert pair.labels.data[0, 0, 50, 50] == 1


def test_a_duplicated_annotation_shares_its_values_across_channels(channels_within, qtbot):
    """napari's Duplicate layer copies the values of every channel."""
    panel, viewer = channels_within, channels_within.viewer
    draw_stroke(panel, 1, (1, 1, 24, 30))
    wait_until_idle(panel, qtbot)
    data, meta, _ = annotation(panel).as_layer_data_tuple()
    copied = viewer.add_layer(Labels(copy.deepcopy(data), **(meta | {"name": "copy"})))
    viewer.layers.remove(annotation(panel))
    panel.teach.annotating.use_layer(copied)
    assert annotation(panel) is copied
    copied.paint((2, 1, 50, 50), 1)
    assert copied.data[2, 0, 50, 50] == 1
    odd = np.zeros(copied.data.shape, np.uint8)
    odd[0, 1, :5] = 1
    panel.teach.annotating.use_layer(viewer.add_labels(odd, name="odd"))
    assert "“odd” does not fit “cells”: its channels hold different" in panel.job_bar.message
    assert annotation(panel) is copied
    copied.data = np.array(copied.data)  # as other plugins do
    wait_until_idle(panel, qtbot)
    copied.paint((2, 0, 70, 70), 1)
    assert copied.data[2, 1, 70, 70] == 1
    copied.data = odd
    wait_until_idle(panel, qtbot)
    panel.teach.view.show()
    assert "its channels hold different values" in panel.teach.panel._reason.text()


def test_a_layer_without_a_channel_axis_is_used_for_training_but_is_not_editable(
    channels_within, qtbot
):
    """napari would show different slices of the layer and of its image."""
    panel, viewer = channels_within, channels_within.viewer
    viewer.layers.remove(annotation(panel))
    values = np.zeros((3, 96, 128), np.uint8)
    values[1, 20:24, 20:40], values[1, 60:64, 20:40] = 1, 255
    layer = viewer.add_labels(values, name="mine")
    panel.teach.annotating.use_layer(layer)
    wait_until_idle(panel, qtbot)
    assert "no axis for the channels" in panel.teach.panel._remark.text()
    assert set(panel.session.project.record.pixel_counts) == {0, 1}
    panel.teach.annotating.paint(1)
    assert "no axis for the channels" in panel.job_bar.message
    assert layer.mode != "paint"


@pytest.mark.parametrize(
    ("other", "reason_part"),
    [
        ((50, 60), "the image 50 × 60"),
        ((3, 96, 128), "had 2 axes and now has 3"),
        ((96, 129), "the image 96 × 129"),
    ],
)
def test_an_image_with_replaced_data_is_reported_and_not_used_for_training(
    viewer, quick_dock, qtbot, nuclei, other, reason_part
):
    """H7, H8: no pixel is trained on that was not annotated."""
    image = viewer.add_image(nuclei, name="nuclei")
    panel = quick_dock(viewer)
    press(qtbot, panel.teach.panel._new)
    for at, k in ((OBJECT_STARTS[0], 1), (BACKGROUND[0], 0)):
        draw_stroke(panel, k, at)
        wait_until_idle(panel, qtbot)
    counts_before = panel.session.project.record.pixel_counts
    image.data = np.zeros(other, np.uint8)
    wait_until_idle(panel, qtbot)
    panel.teach.view.show()
    reason = panel.teach.panel._reason.text()
    assert "“nuclei annotation” no longer fits “nuclei”" in reason
    assert reason_part in reason
    assert not panel.teach.panel._train.isEnabled()
    panel.teach.training.train()
    wait_until_idle(panel, qtbot)
    assert len(panel.session.versions) == 1
    panel.teach.annotating.paint(1)
    assert reason_part in panel.job_bar.message
    for do in (
        panel.teach.annotating.correct,
        panel.teach.preview.refresh,
        panel.autosave.saver.save,
    ):
        do()
        wait_until_idle(panel, qtbot)
    image.data = nuclei
    wait_until_idle(panel, qtbot)
    panel.teach.view.show()
    assert panel.session.project.record.pixel_counts == counts_before
    assert panel.teach.panel._train.isEnabled()
    train(panel, qtbot)
    assert len(panel.session.versions) == 2


def test_the_other_images_can_be_trained_on_once_a_changed_one_is_disabled(
    viewer, quick_dock, qtbot, nuclei
):
    for name in ("one", "two"):
        viewer.add_image(nuclei, name=name)
    panel = quick_dock(viewer)
    for name in ("one", "two"):
        panel.context.image_input.set_layer(viewer.layers[name])
        press(qtbot, panel.teach.panel._new)
        for at, k in ((OBJECT_STARTS[0], 1), (BACKGROUND[0], 0)):
            draw_stroke(panel, k, at)
            wait_until_idle(panel, qtbot)
    viewer.layers["one"].data = nuclei[:40]
    wait_until_idle(panel, qtbot)
    assert "“one”" in panel.teach.training.why_not()
    panel.session.project.change_entry(next(iter(panel.session.project.entries)), enabled=False)
    assert not panel.teach.training.why_not()
    train(panel, qtbot)
    assert panel.session.checkpoint.history[-1]["event"] == "trained on 1 slice"


def test_files_of_deleted_annotations_are_never_written_again(viewer, quick_dock, qtbot, nuclei):
    """H23: a key belongs to one annotation even if its memory address is reused."""
    viewer.add_image(nuclei, name="nuclei")
    panel = quick_dock(viewer)
    keys = []
    for value in range(1, 5):
        press(qtbot, panel.teach.panel._new)
        keys.append(panel.teach.annotating.pair.key)
        assert keys[-1] != id(annotation(panel))  # addresses are reused
        annotation(panel).data[value, :value] = 1
        annotation(panel).refresh()
        wait_until_idle(panel, qtbot)
        panel.autosave.saver.save()
        qtbot.waitUntil(lambda: not panel.autosave.saver.saving, timeout=TIMEOUT_MS)
        viewer.layers.remove(annotation(panel))
        wait_until_idle(panel, qtbot)
    assert len(set(keys)) == 4
    paths = sorted(panel.autosave.saver.folder.folder.glob("paint-*"))
    assert len(paths) == 4
    for count, path in enumerate(paths, start=1):
        with np.load(path) as saved:
            assert len(saved["places"]) == count


def test_an_annotation_has_no_leading_channel_axis(nuclei):
    labels = new_annotation(Image(np.stack([nuclei] * 2)), "CYX")
    assert labels.data.shape == nuclei.shape


def training_and_validation_pixels(record):
    """Return masks of the training and held-out pixels of a record with one image."""
    patches = list(record.patches.values())
    learned = np.any([patch.training_target() >= 0 for patch in patches], axis=0)
    return learned, np.any([patch.validation_target() >= 0 for patch in patches], axis=0)


def test_two_annotations_of_an_image_share_held_out_pixels_and_report_conflicts(
    viewer, quick_dock, qtbot, nuclei
):
    """H18."""
    viewer.add_image(nuclei, name="nuclei")
    panel = quick_dock(viewer)
    for _ in range(2):
        press(qtbot, panel.teach.panel._new)
        for row in range(8, 88, 16):
            for k in (1, 0):
                draw_stroke(panel, k, (row + 8 * k, 20), 40)
                wait_until_idle(panel, qtbot)
    record = panel.session.project.record
    learned, validated = training_and_validation_pixels(record)
    assert validated.any()
    assert not (learned & validated).any()
    assert not panel.teach.training.tasks.conflict_message()
    first, second = panel.annotations.pairs
    second.labels.data[first.labels.data == 1] = 255
    second.labels.refresh()
    wait_until_idle(panel, qtbot)
    panel.teach.view.show()
    count = int((first.labels.data == 1).sum())
    message = panel.teach.panel._score.text()
    assert f"Two annotations differ in {count:,} pixels of “nuclei”; the lower one" in message
    train(panel, qtbot)
    assert len(panel.session.versions) == 2
    panel.session.project.change_entry(second.key, enabled=False)
    assert not panel.teach.training.tasks.conflict_message()


@pytest.mark.parametrize("how", ["annotation", "image", "both"])
def test_training_pixels_are_never_held_out_after_layers_are_added_again(
    viewer, quick_dock, qtbot, nuclei, how
):
    """H18: the split of an image is remembered after it is removed and added again."""
    viewer.add_image(nuclei, name="nuclei")
    panel = quick_dock(viewer)
    press(qtbot, panel.teach.panel._new)
    for column in range(5, 118, 12):
        for k, row in ((1, 24), (0, 60)):
            draw_stroke(panel, k, (row, column), 2)
            wait_until_idle(panel, qtbot)
    train(panel, qtbot)
    learned, validated = training_and_validation_pixels(panel.session.project.record)
    assert validated.any()
    if how != "image":
        viewer.layers.remove(annotation(panel))
        wait_until_idle(panel, qtbot)
    if how != "annotation":
        viewer.layers.remove("nuclei")
        wait_until_idle(panel, qtbot)
        viewer.add_image(nuclei, name="again")
        wait_until_idle(panel, qtbot)
    press(qtbot, panel.teach.panel._new)
    for row in (24, 60):
        draw_stroke(panel, 1, (row, 0), 120)
        wait_until_idle(panel, qtbot)
    now = training_and_validation_pixels(panel.session.project.record)
    assert not (now[1] & learned).any()
    assert not (now[0] & validated).any()
    assert (now[0] | now[1])[validated].all()


def choose_meaning(panel, meaning):
    """Choose the meaning of the only annotation in the list, as a user does."""
    panel.teach.view.show()
    box = panel.teach.panel.annotations.cellWidget(0, 2)
    box.setCurrentIndex(box.findData(meaning))
    box.activated.emit(box.currentIndex())


def test_a_mask_of_0_and_255_used_as_scribbles_makes_255_background(
    viewer, quick_dock, qtbot, nuclei
):
    viewer.add_image(nuclei, name="nuclei")
    panel = quick_dock(viewer)
    mask = (nuclei > 100).astype(np.uint8) * 255
    panel.teach.annotating.use_layer(viewer.add_labels(mask, name="mine"))
    wait_until_idle(panel, qtbot)
    bright = int((nuclei > 100).sum())
    project, remark = panel.session.project, panel.teach.panel._remark
    choose_meaning(panel, "scribbles")
    wait_until_idle(panel, qtbot)
    assert project.record.pixel_counts == {0: bright}
    assert "255 is background now" in remark.text()
    panel.teach.annotating.paint(1)
    assert viewer.layers["mine"].selected_label == 1
    choose_meaning(panel, "mask")
    wait_until_idle(panel, qtbot)
    assert project.record.pixel_counts == {0: nuclei.size - bright, 1: bright}
    assert not panel.teach.training.queue.problem


def rename(panel, k, name):
    panel.teach.panel.classes._rows.item(k, 1).setText(name)


def test_an_error_about_a_class_name_is_cleared_by_the_next_valid_name(panel, qtbot):
    press(qtbot, panel.teach.panel._new)
    press(qtbot, panel.teach.panel.classes._add)
    rename(panel, 2, "Nucleus\n")
    assert "already" in panel.job_bar.message
    assert panel.teach.panel.classes._rows.item(2, 1).text() == "class 2"
    rename(panel, 2, "cell\nwall")
    assert not panel.job_bar.message
    assert panel.teach.panel.classes._rows.item(2, 1).text() == "cell wall"
    assert annotation(panel).features["class"].tolist()[-1] == "cell wall"
    panel.runner.show_message("Saved.")
    rename(panel, 2, "debris")
    assert panel.job_bar.message == "Saved."


@pytest.fixture
def predictions_wait(monkeypatch):
    """Return an event; predictions wait until it is set or they are stopped."""
    from napari_emcad.plugin.teach import preview

    opened, begun, job = threading.Event(), threading.Event(), preview.segment_job

    def waiting(slices, checkpoint, settings, stop, *others):
        begun.set()
        while not (opened.is_set() or stop.is_set()):
            stop.wait(0.01)
        return (yield from job(slices, checkpoint, settings, stop, *others))

    monkeypatch.setattr(preview, "segment_job", waiting)
    opened.begun = begun
    yield opened
    opened.set()


def with_strokes(viewer, quick_dock, qtbot, nuclei):
    viewer.add_image(nuclei, name="nuclei")
    panel = quick_dock(viewer)
    press(qtbot, panel.teach.panel._new)
    for at, k in ((OBJECT_STARTS[0], 1), (BACKGROUND[0], 0)):
        draw_stroke(panel, k, at)
        wait_until_idle(panel, qtbot)
    return panel


@pytest.mark.parametrize("by", ["key", "button", "update"])
def test_a_training_replaces_the_running_prediction(
    viewer, quick_dock, qtbot, nuclei, predictions_wait, by
):
    """Starting a training stops the prediction that follows the previous training."""
    panel = with_strokes(viewer, quick_dock, qtbot, nuclei)
    panel.teach.training.train()
    qtbot.waitUntil(predictions_wait.begun.is_set, timeout=TIMEOUT_MS)
    assert panel.session.running.verb == "Predicting"
    panel.teach.view.show()
    if by == "key":
        panel.teach.training.train()
    else:
        button = panel.teach.panel._train if by == "button" else panel.teach.panel._update
        assert button.isEnabled()
        press(qtbot, button)
    qtbot.waitUntil(lambda: len(panel.session.versions) == 3, timeout=TIMEOUT_MS)
    predictions_wait.set()
    wait_until_idle(panel, qtbot)
    assert "Predicting" not in panel.job_bar.message
    assert panel.session.running is None


def test_the_job_that_a_training_waits_for_is_named(
    viewer, quick_dock, qtbot, nuclei, predictions_wait
):
    panel = with_strokes(viewer, quick_dock, qtbot, nuclei)
    ticket = panel.session.begin("Segmenting nuclei")
    panel.teach.training.train()
    assert panel.job_bar.message == "Segmenting nuclei: wait until it has ended, or stop it."
    panel.session.end(ticket)
    wait_until_idle(panel, qtbot)
    assert len(panel.session.versions) == 1
    panel.teach.preview.compare(panel.session.versions.current)
    panel.teach.training.train()
    assert "Predicting: wait" in panel.job_bar.message
    predictions_wait.set()
    wait_until_idle(panel, qtbot)
    assert len(panel.session.versions) == 1


@pytest.fixture
def huge(viewer, quick_dock, qtbot, nuclei, monkeypatch):
    """Return the panel of an annotated stack whose result exceeds the memory."""
    tall = np.tile(nuclei, (3, 4))
    image = viewer.add_image(
        np.stack([tall] * 4), name="huge", axis_labels=("z", "y", "x"), scale=(2, 0.5, 0.5)
    )
    for module in ("layer", "fit"):
        monkeypatch.setattr(f"napari_emcad.plugin.annotations.{module}.LARGEST", 200 * 250 * 2)
    monkeypatch.setattr(
        "napari_emcad.pipelines.memory._physical_memory", lambda: image.data.size - 1
    )
    panel = quick_dock(viewer)
    viewer.dims.set_current_step(0, 2)
    image.corner_pixels = np.array([[2, 90, 120], [2, 229, 309]])
    press(qtbot, panel.teach.panel._new)
    for at, k in ((24, 30), 1), ((60, 20), 0):
        draw_stroke(panel, k, (1, *at))
        wait_until_idle(panel, qtbot)
    return panel


def test_a_result_that_exceeds_memory_is_predicted_in_the_annotated_part(huge, qtbot):
    """H13."""
    viewer, labels, image = huge.viewer, annotation(huge), huge.viewer.layers["huge"]
    corner = labels.metadata["napari-emcad"]["corner"]
    assert any(corner)
    image.corner_pixels = np.array([[2, 90, 120], [2, 229, 309]])
    train(huge, qtbot)
    result = viewer.layers["huge prediction"]
    assert result.data.shape == labels.data.shape
    for position in ((0, 0, 0), (1, 40, 50)):
        image_position = np.add(position, corner)
        assert np.allclose(result.data_to_world(position), image.data_to_world(image_position))
    huge.teach.preview.refresh()
    wait_until_idle(huge, qtbot)
    index = 2 - corner[0]
    predicted = result.data[index]
    assert predicted.any()
    assert not np.delete(result.data, index, axis=0).any()
    expected = napari_emcad.segment(image.data[2], huge.session.checkpoint, "YX").labels
    expected_part = expected[corner[1] :, corner[2] :][: predicted.shape[0], : predicted.shape[1]]
    assert (expected_part == predicted).mean() > 0.98
    before = labels.data.copy()
    press(qtbot, huge.teach.panel._correct)
    labels_after = labels.data[index]
    unlabeled = before[index] == 0
    assert np.array_equal(
        labels_after[unlabeled & (predicted == 1)], np.ones((unlabeled & (predicted == 1)).sum())
    )
    assert np.array_equal(labels_after[~unlabeled], before[index][~unlabeled])


def test_a_training_without_a_prediction_reports_the_reason(huge, qtbot):
    huge.viewer.dims.set_current_step(0, 0)
    messages = []
    show_message = huge.runner.show_message
    huge.runner.show_message = lambda message, error=False, holds=None: (
        messages.append(message),
        show_message(message, error, holds),
    )
    train(huge, qtbot)
    assert "No prediction is shown: The visible part lies outside of the annotation." in messages
    assert len(huge.session.versions) == 2


@pytest.mark.parametrize("values", [(1, 2, 3), (85, 170, 255)])
def test_a_mask_of_three_classes_can_be_trained_on_once_the_classes_exist(
    viewer, quick_dock, qtbot, nuclei, values
):
    """Follow the messages of the panel from the remark to the prediction."""
    viewer.add_image(nuclei, name="nuclei")
    panel = quick_dock(viewer)
    mask = np.zeros(nuclei.shape, np.uint8)
    for k, value in enumerate(values):
        mask[20 + 24 * k : 40 + 24 * k] = value
    panel.teach.annotating.use_layer(viewer.add_labels(mask.copy(), name="mine"))
    wait_until_idle(panel, qtbot)
    remark = panel.teach.panel._remark
    assert ("single objects" if values[0] == 1 else "85 is class 1") in remark.text()
    choose_meaning(panel, "mask")
    wait_until_idle(panel, qtbot)
    panel.teach.view.show()
    assert "add a class" in panel.teach.panel._reason.text()
    for _ in range(2):
        press(qtbot, panel.teach.panel.classes._add)
    wait_until_idle(panel, qtbot)
    record = panel.session.project.record
    assert record.pixel_counts == {k: int((mask == v).sum()) for k, v in enumerate((0, *values))}
    assert set(record.held_out_counts) == set(range(4))
    train(panel, qtbot)
    assert panel.session.checkpoint.config.num_classes == 4
    assert panel.session.versions.current.score is not None
    assert np.array_equal(viewer.layers["mine"].data, mask)
    for k in range(4):
        panel.teach.annotating.paint(k)
        rule = panel.session.project.entries[panel.teach.annotating.pair.key].rule
        assert rule.class_of(int(annotation(panel).selected_label)) == k


def test_suggestions_read_the_annotations_of_the_slice(channels_within, qtbot):
    panel, viewer = channels_within, channels_within.viewer
    draw_stroke(panel, 1, (1, 1, 24, 30))
    wait_until_idle(panel, qtbot)
    for z in (0, 1):
        viewer.dims.set_current_step((0, 1), (z, 1))
        search = panel.teach.suggesting._request().search
        height, width = search.shape
        target = read_window(search.annotated, (z,), (0, height), (0, width), search.classes)
        assert (target == 1).sum() == (panel.teach.annotating.pair.values[z] == 1).sum()
        assert (target == 1).any() == (z == 1)


def test_a_combo_box_keeps_its_image_when_layers_are_renamed(viewer, quick_dock, qtbot, nuclei):
    """magicgui finds layers by name: the panel would show one image and read another."""
    one = viewer.add_image(nuclei, name="one")
    other = viewer.add_image(np.stack([nuclei] * 6), name="other")
    panel = quick_dock(viewer)
    panel.context.image_input.set_layer(other)
    panel.context.image_input.set_layer(other)
    wait_until_idle(panel, qtbot)
    other.name = "one"
    wait_until_idle(panel, qtbot)
    for tab in (panel.teach, panel.segment, panel.stages):
        assert unwrap(tab.panel._image._box.value) is other
    assert panel.segment.panel._axes.axes == "ZYX"
    viewer.layers.remove(other)
    wait_until_idle(panel, qtbot)
    for tab in (panel.teach, panel.segment, panel.stages):
        assert unwrap(tab.panel._image._box.value) is one
    assert panel.segment.panel._axes.axes == "YX"
    press(qtbot, panel.teach.panel._new)
    assert annotation(panel).ndim == 2


def test_a_class_may_be_added_beside_an_annotation_of_objects(viewer, quick_dock, qtbot, nuclei):
    viewer.add_image(nuclei, name="nuclei")
    panel = quick_dock(viewer)
    press(qtbot, panel.teach.panel._new)
    choose_meaning(panel, "objects")
    press(qtbot, panel.teach.panel.classes._add)
    wait_until_idle(panel, qtbot)
    assert "cannot hold class 2" in panel.job_bar.message
    panel.teach.annotating.paint(1)
    assert annotation(panel).mode == "paint"
