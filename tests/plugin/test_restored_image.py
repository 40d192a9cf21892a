"""Annotations of a crashed session come back on the image that was annotated, whatever its name."""

from __future__ import annotations

import numpy as np
import pytest
from driving import TIMEOUT_MS, annotation, draw_stroke, press, wait_until_idle

from napari_emcad.imaging.fingerprint import image_fingerprint, is_image_of


@pytest.fixture
def crashed(panel, qtbot):
    """Return the painted labels of a session that ended without closing."""
    panel.teach.annotating.new_annotation()
    draw_stroke(panel, 1, (24, 30))
    wait_until_idle(panel, qtbot)
    panel.autosave.saver.save()
    qtbot.waitUntil(lambda: not panel.autosave.saver.saving, timeout=TIMEOUT_MS)
    panel.autosave.saver.folder._lock.close()  # as the end of the process does
    return annotation(panel).data.copy()


def restore(dock, viewer, qtbot):
    panel = dock(viewer)
    qtbot.waitUntil(lambda: bool(panel.recovery.recoveries), timeout=TIMEOUT_MS)
    press(qtbot, panel.recovery._restore)
    wait_until_idle(panel, qtbot)
    return panel


@pytest.mark.parametrize("other", ["pixels", "one pixel", "dtype", "shape"])
def test_another_image_of_the_name_is_not_taken(
    crashed, dock, qtbot, nuclei, make_napari_viewer, other
):
    one = nuclei.copy()
    one[50, 80] += 1
    images = {
        "pixels": nuclei[::-1].copy(),
        "one pixel": one,
        "dtype": nuclei.astype(np.uint16),
        "shape": np.stack([nuclei] * 2),
    }
    viewer = make_napari_viewer()
    viewer.add_image(images[other], name="nuclei")
    panel = restore(dock, viewer, qtbot)
    assert not panel.annotations.pairs
    assert "No open image has the pixels" in panel.job_bar.message
    assert np.array_equal(viewer.layers["nuclei annotation"].data, crashed)


def test_the_image_is_found_under_another_name(crashed, dock, qtbot, nuclei, make_napari_viewer):
    viewer = make_napari_viewer()
    viewer.add_image(nuclei[::-1].copy(), name="nuclei")
    right = viewer.add_image(nuclei.copy(), name="renamed")
    panel = restore(dock, viewer, qtbot)
    (pair,) = panel.annotations.pairs
    assert pair.image is right


@pytest.mark.parametrize("shape", [(20, 30), (5, 200, 300), (2, 3, 70, 90), (40, 50, 3)])
def test_a_fingerprint_is_that_of_shape_type_and_pixels(shape):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, shape).astype(np.uint8)
    fingerprint = image_fingerprint(image)
    assert is_image_of(fingerprint, image.copy())
    assert not is_image_of(fingerprint, image[::-1])
    assert not is_image_of(fingerprint, image.astype(np.int16))
    assert not is_image_of(fingerprint, image[..., :-1])


def copied_annotation(panel, qtbot):
    """Paint, predict, and copy the prediction; return the annotation layer."""
    panel.teach.annotating.new_annotation()
    for k, at in ((1, (24, 30)), (0, (8, 60))):
        draw_stroke(panel, k, at)
        wait_until_idle(panel, qtbot)
    panel.teach.preview.refresh()
    wait_until_idle(panel, qtbot)
    panel.teach.annotating.correct()
    wait_until_idle(panel, qtbot)
    record = panel.session.project.record
    assert sum(record.pixel_counts.values()) > 500
    assert not record.held_out_counts
    return annotation(panel)


def test_copied_pixels_are_not_held_out_after_they_were_restored(
    panel, dock, qtbot, nuclei, make_napari_viewer
):
    copied_annotation(panel, qtbot)
    panel.autosave.saver.save()
    qtbot.waitUntil(lambda: not panel.autosave.saver.saving, timeout=TIMEOUT_MS)
    panel.autosave.saver.folder._lock.close()  # as the end of the process does
    viewer = make_napari_viewer()
    viewer.add_image(nuclei.copy(), name="nuclei")
    record = restore(dock, viewer, qtbot).session.project.record
    assert sum(record.pixel_counts.values()) > 500
    assert not record.held_out_counts


def test_copied_pixels_are_not_held_out_in_another_layer_of_their_array(panel, qtbot):
    labels = copied_annotation(panel, qtbot)
    array = labels.data
    panel.viewer.layers.remove(labels)
    wait_until_idle(panel, qtbot)
    panel.teach.annotating.use_layer(panel.viewer.add_labels(array, name="again"))
    wait_until_idle(panel, qtbot)
    panel.teach.annotating.change_meaning(panel.teach.annotating.pair.key, "scribbles")
    wait_until_idle(panel, qtbot)
    record = panel.session.project.record
    assert sum(record.pixel_counts.values()) > 500
    assert sum(record.held_out_counts.values()) < 10
