"""The Suggest row of the Stages tab: places to paint, stepped through on the canvas."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_emcad.imaging.paint import UNPAINTED, LabelRule
from napari_emcad.imaging.slices import as_slices
from napari_emcad.painting import Painted, painted_part


def press(qtbot, button):
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def suggest(panel, qtbot, finish):
    panel.observatory.show()
    press(qtbot, panel.stages_panel._suggest)
    finish(panel)


def place(panel):
    return panel.stages_panel._place.text()


def annotate(panel, qtbot):
    panel._tabs.setCurrentWidget(panel.teach_panel)
    panel.classroom.show_soon()
    qtbot.waitUntil(panel.teach_panel._new.isEnabled, timeout=60_000)
    press(qtbot, panel.teach_panel._new)
    return panel.classroom.pair.labels


@pytest.fixture
def large(viewer, dock, nuclei):
    """Return a panel on slice 1 of a stack of blurred nuclei, twice as fine as it is deep."""
    rng = np.random.default_rng(0)
    plane = np.tile(nuclei, (2, 2)) // 4 + rng.integers(0, 40, (192, 256), np.uint8)
    viewer.add_image(
        np.stack([plane] * 3), name="stack", scale=(2, 0.5, 0.5), axis_labels=("z", "y", "x")
    )
    viewer.dims.set_current_step(0, 1)
    return dock(viewer)


def test_places_are_stepped_through_and_painted_ones_leave(large, qtbot, finish):
    panel, viewer = large, large.viewer
    labels = annotate(panel, qtbot)
    layers = list(viewer.layers)
    suggest(panel, qtbot, finish)
    found = list(panel.suggester._found)
    assert len(found) > 2
    assert place(panel) == f"1 of {len(found)}"
    assert list(viewer.layers) == layers
    centre = viewer.scene.camera.center
    assert centre[1:] == tuple(0.5 * each for each in found[0].centre)

    press(qtbot, panel.stages_panel._on)
    assert place(panel) == f"2 of {len(found)}"
    assert viewer.scene.camera.center[1:] == tuple(0.5 * each for each in found[1].centre)
    viewer.dims.set_current_step(0, 2)
    press(qtbot, panel.stages_panel._back)
    assert viewer.dims.current_step[0] == 1
    press(qtbot, panel.stages_panel._back)
    assert place(panel) == f"{len(found)} of {len(found)}"

    press(qtbot, panel.stages_panel._on)
    y, x = map(int, found[0].centre)
    labels.data[1, y, x] = 1
    press(qtbot, panel.stages_panel._on)
    assert place(panel) == f"1 of {len(found) - 1}"
    assert viewer.scene.camera.center[1:] == tuple(0.5 * each for each in found[1].centre)

    labels.data[1] = 1
    press(qtbot, panel.stages_panel._on)
    assert place(panel) == ""
    suggest(panel, qtbot, finish)
    assert place(panel) == ""


def test_an_image_that_is_gone_has_no_places(large, qtbot, finish):
    suggest(large, qtbot, finish)
    assert large.suggester._found
    large.viewer.layers.clear()
    large.suggester.step(1)
    assert place(large) == ""
    large.suggester.suggest()
    assert "image" in large.job_bar._message.text()


def test_a_window_of_paint_is_that_of_the_whole_slice():
    labels = np.zeros((3, 40, 30), np.uint8)
    labels[1, 5:9, 7:20], labels[1, 30, 3] = 2, 255
    slices = as_slices(np.zeros((3, 60, 50), np.uint8), 3, "ZYX")
    source = Painted("a", "a", slices, labels, LabelRule(), (0, 10, 4))
    whole = painted_part(source, (1,), (0, 60), (0, 50), 2)
    assert whole.shape == (60, 50)
    assert np.count_nonzero(whole == 2) == 4 * 13
    assert whole[40, 7] == 0
    for rows, columns in (((12, 50), (2, 20)), ((0, 5), (0, 5)), ((58, 60), (40, 50))):
        part = painted_part(source, (1,), rows, columns, 2)
        assert np.array_equal(part, whole[slice(*rows), slice(*columns)])
    assert (painted_part(source, (2,), (0, 60), (0, 50), 2) == UNPAINTED).all()
