"""The Scores tab: a result beside labels that are known to be right."""

from __future__ import annotations

import numpy as np
import pytest
from driving import press

import napari_emcad


@pytest.fixture
def scores(viewer, dock, nuclei, finish, qtbot):
    """Return the panel of a viewer with a segmented stack, and its truth."""
    axes = {"axis_labels": ("z", "y", "x"), "scale": (2, 1, 1)}
    viewer.add_image(np.stack([nuclei] * 4), name="stack", **axes)
    panel = dock(viewer)
    fields = panel.segment.panel
    fields._scope.setCurrentIndex(fields._scope.findData("layer"))
    press(qtbot, fields._run)
    finish(panel)
    truth = np.stack([nuclei > 50] * 4).astype(np.uint8)
    truth[2] = np.roll(truth[2], 30, 1)
    viewer.add_labels(truth, name="expert", **axes)
    panel._tabs.setCurrentWidget(panel.scores.panel)
    return panel


def compared(panel, qtbot, finish):
    press(qtbot, panel.scores.panel._compare)
    finish(panel)
    return panel.scores.panel


def rows(fields):
    model = fields.slices._columns
    titles = [model._header[n] for n in range(model.columnCount())]
    return [dict(zip(titles, row, strict=True)) for row in zip(*model._columns, strict=True)]


def test_result_and_truth_are_chosen_without_a_click(scores):
    fields = scores.scores.panel
    assert fields._predicted.currentText() == "stack segmentation"
    assert fields._truth.currentText() == "expert"
    assert fields._compare.isEnabled()


def test_scores_are_those_of_python(scores, qtbot, finish, viewer):
    fields = compared(scores, qtbot, finish)
    layers = [viewer.layers[name].data for name in ("stack segmentation", "expert")]
    expected = napari_emcad.compare_labels(*layers, scale={"Z": 2, "Y": 1, "X": 1})
    shown = [fields._classes.item(0, column).text() for column in range(3)]
    one = expected.total.by_class[1]
    assert shown == ["nucleus", f"{one.dice:.3f}", f"{one.iou:.3f}"]
    assert [row["Dice"] for row in rows(fields)] == [s.mean("dice") for s in expected.by_slice]
    assert [row["slice"] for row in rows(fields)] == [0, 1, 2, 3]


def test_rows_and_worst_slice_move_the_slider(scores, qtbot, finish, viewer):
    fields = compared(scores, qtbot, finish)
    worst = scores.scores.controller._scores.worst
    press(qtbot, fields._worst)
    assert viewer.dims.current_step[0] == worst
    fields.slices.setCurrentIndex(fields.slices.model().index(1, 0))
    assert viewer.dims.current_step[0] == 1


def test_errors_lie_on_the_result_and_leave_with_their_tick(scores, qtbot, finish, viewer):
    fields = compared(scores, qtbot, finish)
    active = viewer.layers.selection.active
    fields._errors.click()
    errors, result = viewer.layers["stack segmentation errors"], viewer.layers["stack segmentation"]
    assert viewer.layers.selection.active is active
    np.testing.assert_array_equal(errors.scale, result.scale)
    np.testing.assert_array_equal(
        errors.data > 0, (result.data > 0) != (viewer.layers["expert"].data > 0)
    )
    assert "expert" in fields._truth.currentText()  # errors are neither result nor truth
    assert fields._predicted.findText(errors.name) < 0
    fields._errors.click()
    assert errors not in viewer.layers


def test_errors_that_the_user_deletes_untick_the_box(scores, qtbot, finish, viewer):
    fields = compared(scores, qtbot, finish)
    fields._errors.click()
    viewer.layers.remove("stack segmentation errors")
    qtbot.waitUntil(lambda: not fields._errors.isChecked())


def test_paint_after_the_comparison_is_named(scores, qtbot, finish, viewer):
    fields = compared(scores, qtbot, finish)
    viewer.layers["expert"].paint((0, 3, 3), 1)
    assert "has changed since" in fields._summary.text()


def test_a_deleted_layer_takes_its_scores_along(scores, qtbot, finish, viewer):
    fields = compared(scores, qtbot, finish)
    viewer.layers.remove("expert")
    qtbot.waitUntil(lambda: not scores.scores.controller._scores)
    assert "Open the true labels" in fields._reason.text()
    assert not fields._compare.isEnabled()


def test_layers_of_different_sizes_are_refused_in_words(scores, viewer, qtbot):
    viewer.add_labels(np.ones((3, 3), int), name="small")
    fields = scores.scores.panel
    fields._truth.setCurrentIndex(fields._truth.findText("small"))
    assert (
        fields._reason.text() == "The layers have different sizes, 4 × 96 × 128 and 3 × 3 pixels."
    )
    fields._truth.setCurrentIndex(fields._truth.findText("stack segmentation"))
    assert fields._reason.text() == "Choose two different layers."


def test_numbered_objects_are_compared_by_class(viewer, dock, nuclei, finish, qtbot):
    from napari_emcad.plugin.scores.compared_layers import Comparison, _as_classes

    objects = viewer.add_labels(
        np.array([[1, 2, 3, 0]]), features={"index": [0, 1, 2, 3], "class": ["", "b", "a", "b"]}
    )
    assert _as_classes(objects, ("a", "b")).tolist() == [[2, 1, 2, 0]]
    assert Comparison(objects, objects, ("a", "b")).problem == "Choose two different layers."


def test_a_single_slice_is_compared_without_a_list_of_slices(panel, nuclei, qtbot, finish):
    press(qtbot, panel.segment.panel._run)
    finish(panel)
    panel.viewer.add_labels((nuclei > 50).astype(np.uint8), name="expert")
    fields = compared(panel, qtbot, finish)
    assert fields._classes.rowCount() == 1
    assert fields.slices.count == 0
