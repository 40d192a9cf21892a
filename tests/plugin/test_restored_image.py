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
