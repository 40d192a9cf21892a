"""All open images are segmented by one click."""

from __future__ import annotations

import numpy as np
import pytest

import napari_emcad


@pytest.fixture
def segment_all(panel, qtbot):
    def press():
        panel.segment.panel.files.open_requested.emit()

    return press


def labels_of(viewer, name, kind="segmentation"):
    return viewer.layers[f"{name} {kind}"].data


def wait(panel, qtbot):
    qtbot.waitUntil(lambda: not panel.segment.opened._total, timeout=60_000)


def test_all_images_are_segmented_completely(panel, viewer, nuclei, segment_all, qtbot):
    stack = np.stack([np.roll(nuclei, 9 * n, 1) for n in range(6)])
    viewer.add_image(stack, name="stack")
    viewer.add_image(np.roll(nuclei, 20, 0), name="rolled")
    viewer.add_image(nuclei / 255, name="p", metadata={"napari-emcad": {"kind": "probability"}})
    panel.segment.panel._separate.setChecked(True)
    before = panel.segment.controller._input.layer
    segment_all()
    wait(panel, qtbot)
    assert panel.runner.message == "3 images segmented."
    assert panel.segment.controller._input.layer is before
    settings = panel.segment.panel.settings
    for name, axes in (("nuclei", "YX"), ("stack", "ZYX"), ("rolled", "YX")):
        image = viewer.layers[name].data
        expected = napari_emcad.segment(
            image, panel.session.checkpoint, axes, settings=settings
        ).labels
        assert expected.any()
        np.testing.assert_array_equal(labels_of(viewer, name, "objects"), expected)


def test_an_image_that_does_not_fit_is_named(panel, viewer, nuclei, segment_all, qtbot):
    viewer.add_image(np.zeros((64, 64, 2), np.uint8), name="unclear")
    viewer.add_image(nuclei, name="other")
    segment_all()
    wait(panel, qtbot)
    assert panel.runner.message.startswith("2 images segmented. Left out: unclear: ")
    assert labels_of(viewer, "other").any()


def test_stop_ends_all(panel, viewer, nuclei, segment_all, qtbot):
    for n in range(3):
        viewer.add_image(np.stack([nuclei] * 40), name=f"stack {n}")
    segment_all()
    assert panel.runner.running
    panel.runner.stop()
    wait(panel, qtbot)
    assert "not begun" in panel.runner.message
    assert not panel.runner.running
    assert "stack 2 segmentation" not in viewer.layers


def test_a_closed_image_is_left_out(panel, viewer, nuclei, segment_all, qtbot):
    viewer.add_image(np.roll(nuclei, 3), name="gone")
    segment_all()
    viewer.layers.remove("gone")
    wait(panel, qtbot)
    assert panel.runner.message == "1 image segmented. Left out: gone was closed."


def test_a_single_segmentation_is_not_continued(panel, viewer, nuclei, qtbot, finish):
    viewer.add_image(nuclei, name="other")
    panel.segment.controller.run()
    finish(panel)
    assert sum("segmentation" in layer.name for layer in viewer.layers) == 1
