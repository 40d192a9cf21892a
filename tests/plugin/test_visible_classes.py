"""Single classes of labels are shown and hidden."""

from __future__ import annotations

import numpy as np
import pytest
from driving import press
from napari.layers import Labels
from qtpy.QtWidgets import QCheckBox, QPushButton

from napari_emcad.plugin.layers.class_colors import class_features, label_colors


@pytest.fixture
def two(panel, finish, two_classes):
    """Return the panel with a model of two classes, nucleus and debris."""
    panel.model.controller.open_file(two_classes)
    finish(panel)
    return panel


def segment(panel, qtbot, finish):
    press(qtbot, panel.segment.panel._run)
    finish(panel)
    return [layer for layer in panel.viewer.layers if isinstance(layer, Labels)][-1]


def boxes(panel):
    found = panel.segment.panel.classes.findChildren(QCheckBox)
    return {box.text(): box for box in found}


def alpha(layer, k):
    color = layer.colormap.color_dict[k]
    return float(color[3])


def shown(panel):
    return not panel.segment.panel.classes_section.isHidden()


def test_a_class_is_hidden_and_shown_with_its_color(two, qtbot, finish):
    assert not shown(two)
    layer = segment(two, qtbot, finish)
    before = {k: tuple(color) for k, color in layer.colormap.color_dict.items()}
    assert shown(two)
    assert list(boxes(two)) == ["nucleus", "debris"]
    boxes(two)["debris"].setChecked(False)
    assert (alpha(layer, 1), alpha(layer, 2)) == (1, 0)
    boxes(two)["debris"].setChecked(True)
    assert {k: tuple(color) for k, color in layer.colormap.color_dict.items()} == before


def test_hidden_classes_stay_hidden_when_the_image_is_segmented_again(two, qtbot, finish):
    layer = segment(two, qtbot, finish)
    boxes(two)["nucleus"].setChecked(False)
    assert segment(two, qtbot, finish) is layer
    assert (alpha(layer, 1), alpha(layer, 2)) == (0, 1)
    assert not boxes(two)["nucleus"].isChecked()


def test_all_and_none(two, qtbot, finish):
    layer = segment(two, qtbot, finish)
    all_, none = two.segment.panel.classes.findChildren(QPushButton)
    press(qtbot, none)
    assert (alpha(layer, 1), alpha(layer, 2)) == (0, 0)
    press(qtbot, all_)
    assert (alpha(layer, 1), alpha(layer, 2)) == (1, 1)


def test_the_selected_labels_count(two, qtbot, finish):
    result = segment(two, qtbot, finish)
    classes = two.session.checkpoint.classes
    other = two.viewer.add_labels(
        np.ones((96, 128), np.uint8),
        colormap=label_colors(classes),
        features=class_features(classes),
    )
    assert two.viewer.layers.selection.active is other
    boxes(two)["nucleus"].setChecked(False)
    assert (alpha(other, 1), alpha(result, 1)) == (0, 1)
    two.viewer.layers.selection.active = result
    assert boxes(two)["nucleus"].isChecked()


def test_one_class_and_objects_have_no_boxes(panel, two, qtbot, finish):
    two.segment.panel._separate.setChecked(True)
    segment(two, qtbot, finish)
    assert not shown(two)
    two.viewer.layers.clear()
    assert not shown(two)


def test_colors_changed_elsewhere_are_followed(two, qtbot, finish):
    layer = segment(two, qtbot, finish)
    boxes(two)["debris"].setChecked(False)
    layer.colormap = label_colors(two.session.checkpoint.classes)
    assert boxes(two)["debris"].isChecked()


def test_hiding_changes_no_label(two, qtbot, finish):
    layer = segment(two, qtbot, finish)
    before = layer.data.copy()
    boxes(two)["nucleus"].setChecked(False)
    np.testing.assert_array_equal(layer.data, before)


def test_names_with_an_ampersand_are_shown_as_they_are(two, qtbot, finish):
    two.session.override(classes=("cells & debris", "a && b"))
    segment(two, qtbot, finish)
    assert list(boxes(two)) == ["cells && debris", "a &&&& b"]  # Qt shows "&&" as "&"
