"""Choosing an image on the Teach tab shows it alone, with its annotation and its prediction."""

from __future__ import annotations

import pytest
from driving import OBJECT_STARTS, draw_stroke, press, wait_until_idle
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox


@pytest.fixture
def two(teach, qtbot, nuclei):
    """Return the panel with two images far apart; the first one is annotated and segmented."""
    draw_stroke(teach, 1, OBJECT_STARTS[0])
    wait_until_idle(teach, qtbot)
    press(qtbot, teach.segment.panel._run)
    wait_until_idle(teach, qtbot)
    teach.viewer.add_image(nuclei[:50, :60].copy(), name="second", translate=(900, 900))
    teach.viewer.add_points([[5, 5]], name="marks")
    teach.context.image_input.set_layer(teach.viewer.layers["nuclei"])
    return teach


def choose(panel, qtbot, key):
    box = panel.teach.panel._image.native.findChild(QComboBox)
    box.setFocus()
    qtbot.keyClick(box, key)


def visible(panel):
    return {layer.name for layer in panel.viewer.layers if layer.visible}


def test_the_chosen_image_is_shown_alone_and_fits(two, qtbot):
    choose(two, qtbot, Qt.Key.Key_End)
    assert visible(two) == {"second"}
    assert two.viewer.camera.center[-2:] == pytest.approx((924.5, 929.5))
    choose(two, qtbot, Qt.Key.Key_Home)
    assert visible(two) == {"nuclei", "nuclei annotation", "nuclei segmentation"}
    assert two.viewer.camera.center[-2:] == pytest.approx((47.5, 63.5))


def test_selecting_a_layer_hides_nothing(two):
    before = visible(two)
    two.viewer.layers.selection.active = two.viewer.layers["second"]
    assert two.context.image_input.layer.name == "second"
    assert visible(two) == before


def test_the_row_of_another_image_shows_it(two, qtbot):
    choose(two, qtbot, Qt.Key.Key_End)
    (pair,) = two.annotations.pairs
    two.teach.panel.annotations.chosen.emit(pair.key)
    assert visible(two) == {"nuclei", "nuclei annotation", "nuclei segmentation"}
    zoom = two.viewer.camera.zoom = 7
    two.teach.panel.annotations.chosen.emit(pair.key)
    assert two.viewer.camera.zoom == zoom
