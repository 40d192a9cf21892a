"""Single objects are deleted, merged, split and accepted, and become annotation."""

from __future__ import annotations

import numpy as np
import pytest
from driving import press, wait_until_idle


@pytest.fixture
def objects(panel, qtbot):
    """Return the panel with three measured objects; 7 consists of two squares with a neck."""
    labels = np.zeros((96, 128), np.uint16)
    labels[10:20, 20:30], labels[80:83, 5:9] = 3, 9
    labels[40:60, 60:80], labels[40:60, 84:104], labels[48:52, 80:84] = 7, 7, 7
    panel.viewer.add_labels(
        labels, name="objects", features={"index": [0, 3, 7, 9], "class": ["", *["nucleus"] * 3]}
    )
    panel._tabs.setCurrentWidget(panel.objects.panel)
    wait_until_idle(panel, qtbot)
    press(qtbot, panel.objects.panel._measure)
    wait_until_idle(panel, qtbot)
    return panel


def data(panel):
    return panel.viewer.layers["objects"].data


def numbers(panel):
    return panel.objects.controller.table.columns["label"].tolist()


def select(panel, *labels):
    fields = panel.objects.panel
    fields.table.clearSelection()
    for label in labels:
        fields.table.select_row(numbers(panel).index(label), add=True)


def click(panel, qtbot, name):
    button = getattr(panel.objects.panel.correct, name)
    assert button.isEnabled()
    press(qtbot, button)
    wait_until_idle(panel, qtbot)


class Mouse:
    """The mouse on the canvas, as napari reports it to the viewer."""

    def __init__(self, start, end=None):
        self.type, self.pos = "mouse_press", (10, 10)
        self.position, self._end = start, start if end is None else end
        self.view_direction, self.dims_displayed, self.modifiers = None, [0, 1], []

    def run(self, panel, qtbot):
        ours = ("_clicked", "_split_drag")
        callbacks = [c for c in panel.viewer.mouse_drag_callbacks if c.__name__ in ours]
        steps = [callback(panel.viewer, self) for callback in callbacks]
        for step in steps:
            next(step)
        if self._end != self.position:
            self.type, self.pos = "mouse_move", (60, 60)
            for step in steps:
                next(step)
        self.type, self.position = "mouse_release", self._end
        for step in steps:
            next(step, None)
        wait_until_idle(panel, qtbot)


def test_buttons_wait_for_a_selection(objects, qtbot):
    box = objects.objects.panel.correct
    assert not box._delete.isEnabled()
    select(objects, 3)
    assert box._delete.isEnabled()
    assert not box._merge.isEnabled()
    select(objects, 3, 9)
    assert box._merge.isEnabled()
    assert box._teach.isHidden()


def test_delete_removes_the_objects_and_undo_brings_them_back(objects, qtbot):
    before = data(objects).copy()
    select(objects, 3, 9)
    click(objects, qtbot, "_delete")
    assert numbers(objects) == [7]
    assert set(np.unique(data(objects))) == {0, 7}
    objects.viewer.layers["objects"].undo()
    np.testing.assert_array_equal(data(objects), before)
    assert "has changed" in objects.objects.panel._summary.text()


def test_merge_gives_one_number_in_one_step(objects, qtbot):
    before = data(objects).copy()
    select(objects, 7, 9)
    click(objects, qtbot, "_merge")
    assert numbers(objects) == [3, 7]
    assert data(objects)[81, 6] == 7
    objects.viewer.layers["objects"].undo()
    np.testing.assert_array_equal(data(objects), before)


@pytest.mark.parametrize("drag", [False, True])
def test_split_by_two_clicks_or_a_line(objects, qtbot, drag):
    camera = objects.viewer.scene.camera
    press(qtbot, objects.objects.panel.correct._split)
    assert not camera.mouse_pan  # a drag draws a line
    if drag:
        Mouse((30.0, 82.0), (70.0, 82.0)).run(objects, qtbot)
    else:
        Mouse((50.0, 65.0)).run(objects, qtbot)
        assert "other part" in objects.runner.message
        Mouse((50.0, 99.0)).run(objects, qtbot)
    assert numbers(objects) == [3, 7, 9, 10]
    assert {data(objects)[50, 65], data(objects)[50, 99]} == {7, 10}
    assert objects.objects.controller.table.columns["class"].tolist() == ["nucleus"] * 4
    press(qtbot, objects.objects.panel.correct._split)
    assert camera.mouse_pan
    objects.viewer.layers["objects"].undo()
    assert set(np.unique(data(objects))) == {0, 3, 7, 9}


def test_what_cannot_be_split_is_named(objects, qtbot):
    press(qtbot, objects.objects.panel.correct._split)
    Mouse((2.0, 2.0)).run(objects, qtbot)
    assert "inside of an object" in objects.runner.message
    Mouse((2.0, 2.0), (4.0, 90.0)).run(objects, qtbot)
    assert "crosses no object" in objects.runner.message
    Mouse((12.0, 22.0), (13.0, 25.0)).run(objects, qtbot)
    assert "does not cut" in objects.runner.message
    Mouse((-50.0, 900.0)).run(objects, qtbot)
    assert set(np.unique(data(objects))) == {0, 3, 7, 9}


def test_a_full_type_is_refused_in_words(panel, qtbot):
    labels = np.zeros((96, 128), np.uint8)
    labels[10:30, 10:60], labels[50:60, 5:9] = 3, 255
    panel.viewer.add_labels(labels, name="objects")
    panel._tabs.setCurrentWidget(panel.objects.panel)
    press(qtbot, panel.objects.panel._measure)
    wait_until_idle(panel, qtbot)
    press(qtbot, panel.objects.panel.correct._split)
    Mouse((5.0, 30.0), (40.0, 30.0)).run(panel, qtbot)
    assert "no number left" in panel.runner.message
    assert set(np.unique(data(panel))) == {0, 3, 255}


def test_split_acts_on_the_visible_slice_alone(panel, qtbot):
    labels = np.zeros((3, 40, 60), np.uint16)
    labels[:, 10:30, 10:50] = 4
    panel.viewer.add_labels(labels, name="objects", axis_labels=("z", "y", "x"))
    panel._tabs.setCurrentWidget(panel.objects.panel)
    press(qtbot, panel.objects.panel._measure)
    wait_until_idle(panel, qtbot)
    panel.viewer.dims.set_point(0, 1)
    press(qtbot, panel.objects.panel.correct._split)
    mouse = Mouse((1.0, 5.0, 30.0), (1.0, 35.0, 30.0))
    mouse.dims_displayed = [1, 2]
    mouse.run(panel, qtbot)
    assert [sorted(set(np.unique(plane)) - {0}) for plane in data(panel)] == [[4], [4, 5], [4]]


def test_accepted_objects_are_marked_and_kept_in_the_table(objects, qtbot):
    select(objects, 7)
    click(objects, qtbot, "_accept")
    table = objects.objects.controller.table
    assert dict(zip(table.columns["label"], table.columns["accepted"], strict=True)) == {
        3: False,
        7: True,
        9: False,
    }
    assert objects.viewer.layers["objects"].features["accepted"].tolist() == [False, True, False]
    assert objects.objects.controller.selected_labels == [7]
    press(qtbot, objects.objects.panel._measure)
    wait_until_idle(objects, qtbot)
    assert objects.objects.controller.accepted == {7}
    select(objects, 7)
    click(objects, qtbot, "_accept")
    assert not objects.objects.controller.accepted


def test_accepted_objects_become_annotation(objects, qtbot):
    select(objects, 7, 3)
    click(objects, qtbot, "_accept")
    press(qtbot, objects.objects.panel.correct._teach)
    pair = objects.teach.annotating.pair
    values = pair.labels.data
    assert (values[np.isin(data(objects), (3, 7))] == 1).all()
    assert (values[data(objects) == 9] == 0).all()
    assert values[50, 56] == 255  # the rim
    assert values[5, 100] == 0  # far away
    assert objects._tabs.currentWidget() is objects.teach.panel
    pair.labels.undo()
    assert not pair.labels.data.any()


def test_objects_of_a_layer_elsewhere_are_refused(objects, qtbot, viewer):
    from napari_emcad.plugin.layers.geometry import unwrap

    other = viewer.add_image(np.zeros((200, 300), np.uint8), name="other")
    objects.context.image_input.set_layer(unwrap(other))
    select(objects, 7)
    click(objects, qtbot, "_accept")
    press(qtbot, objects.objects.panel.correct._teach)
    assert "does not lie on the annotation of “other”" in objects.runner.message


def test_shift_click_selects_several_rows(objects, qtbot):
    Mouse((12.0, 22.0)).run(objects, qtbot)
    mouse = Mouse((50.0, 65.0))
    mouse.modifiers = ["Shift"]
    mouse.run(objects, qtbot)
    assert objects.objects.controller.selected_labels == [3, 7]


def test_closing_the_panel_gives_the_camera_back(objects, qtbot):
    press(qtbot, objects.objects.panel.correct._split)
    objects.close_down()
    assert objects.viewer.scene.camera.mouse_pan
    names = [callback.__name__ for callback in objects.viewer.mouse_drag_callbacks]
    assert "_split_drag" not in names


def test_a_lazy_layer_cannot_be_changed(panel, qtbot):
    import dask.array as da

    panel.viewer.add_labels(da.ones((96, 128), dtype=np.uint8), name="objects")
    panel._tabs.setCurrentWidget(panel.objects.panel)
    press(qtbot, panel.objects.panel._measure)
    wait_until_idle(panel, qtbot)
    select(panel, 1)
    box = panel.objects.panel.correct
    assert not any(button.isEnabled() for button in (box._delete, box._merge, box._split))
    assert box._accept.isEnabled()
