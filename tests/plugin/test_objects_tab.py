"""The Objects tab: measure, go to objects and find them, keep a range, write CSV."""

from __future__ import annotations

import csv
import threading

import dask.array as da
import numpy as np
import pytest
from driving import press, wait_until_idle
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

from napari_emcad.imaging.link_objects import link_objects
from napari_emcad.plugin.objects.measured_layer import letters_of, pixel_size


def discs(shape=(96, 128)):
    labels = np.zeros(shape, np.uint16)
    labels[10:20, 20:30], labels[40:60, 70:90], labels[80:83, 5:9] = 3, 7, 9
    return labels


@pytest.fixture
def objects(panel, qtbot):
    """Return the panel with measured objects of 100, 400 and 12 pixels."""
    panel.viewer.layers["nuclei"].scale = (0.5, 0.5)
    panel.viewer.layers["nuclei"].units = ("um", "um")
    panel.viewer.add_labels(discs(), name="discs", scale=(0.5, 0.5), units=("um", "um"))
    measure(panel, qtbot)
    return panel


def measure(panel, qtbot):
    panel._tabs.setCurrentWidget(panel.objects.panel)
    wait_until_idle(panel, qtbot)
    press(qtbot, panel.objects.panel._measure)
    wait_until_idle(panel, qtbot)


def cells(panel, column):
    """Return the texts of a column of the table, as they are sorted and filtered."""
    view = panel.objects.panel.table.model()
    names = [
        view.headerData(k, Qt.Orientation.Horizontal, Qt.ItemDataRole.DisplayRole)
        for k in range(view.columnCount())
    ]
    number = names.index(column)
    return [view.index(row, number).data() for row in range(view.rowCount())]


def layer_of(panel):
    return panel.viewer.layers["discs"]


def test_nothing_to_measure_says_what_to_do(panel, qtbot):
    assert not panel.objects.panel._measure.isEnabled()
    assert "Segment an image" in panel.objects.panel._reason.text()


def test_sizes_are_in_the_unit_of_the_layer(objects, nuclei):
    assert cells(objects, "label") == ["3", "7", "9"]
    assert cells(objects, "area [µm²]") == ["25", "100", "3"]
    mean = nuclei[10:20, 20:30].mean()
    assert float(cells(objects, "intensity mean")[0]) == pytest.approx(mean, rel=1e-3)
    assert objects.objects.panel._summary.text() == "3 objects; mean area 42.67 µm²."
    features = layer_of(objects).features
    assert features["area"].tolist() == [25, 100, 3]
    assert features["index"].tolist() == [3, 7, 9]


def test_columns_sort_as_numbers(objects):
    objects.objects.panel.table.sortByColumn(2, Qt.SortOrder.DescendingOrder)
    assert cells(objects, "label") == ["7", "3", "9"]


def test_a_click_on_a_row_goes_to_the_object(objects, qtbot):
    view = objects.objects.panel.table
    center = view.visualRect(view.model().index(1, 0)).center()
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=center)
    assert objects.viewer.scene.camera.center[-2:] == pytest.approx((49.5 / 2, 79.5 / 2))
    assert layer_of(objects).selected_label == 7


class Click:
    """A click on the canvas, as napari reports it to the viewer."""

    def __init__(self, position, to=(10, 10)):
        self.type, self.pos, self._to = "mouse_press", (10, 10), to
        self.position, self.view_direction, self.dims_displayed = position, None, [0, 1]
        self.modifiers = []

    def run(self, viewer):
        ours = [c for c in viewer.mouse_drag_callbacks if c.__name__ == "_clicked"]
        steps = [callback(viewer, self) for callback in ours]
        for step in steps:
            next(step)
        self.type, self.pos = "mouse_release", self._to
        for step in steps:
            next(step, None)


def selected(panel):
    rows = panel.objects.panel.table.selectionModel().selectedRows()
    return [row.data() for row in rows]


def test_a_click_on_an_object_finds_its_row(objects):
    Click((25.0, 40.0)).run(objects.viewer)
    assert selected(objects) == ["7"]
    Click((1.0, 1.0)).run(objects.viewer)  # the background
    assert selected(objects) == ["7"]
    Click((7.0, 12.0), to=(60, 60)).run(objects.viewer)  # a drag moves the camera
    assert selected(objects) == ["7"]


def test_the_layer_need_not_be_the_active_one(objects):
    objects.viewer.layers.selection.active = objects.viewer.layers["nuclei"]
    Click((25.0, 40.0)).run(objects.viewer)
    assert selected(objects) == ["7"]
    objects.close_down()
    assert not any(c.__name__ == "_clicked" for c in objects.viewer.mouse_drag_callbacks)


def test_painting_selects_no_rows(objects):
    objects.viewer.layers.selection.active = layer_of(objects)
    layer_of(objects).mode = "paint"
    Click((25.0, 40.0)).run(objects.viewer)
    assert selected(objects) == []


def keep(panel, low, high):
    panel.objects.panel.filter._low.setValue(low)
    panel.objects.panel.filter._high.setValue(high)


def test_a_range_hides_the_others_at_once(objects, qtbot):
    layer, before = layer_of(objects), layer_of(objects).colormap
    keep(objects, 10, 50)
    assert cells(objects, "label") == ["3"]
    assert isinstance(layer.colormap, DirectLabelColormap)
    assert layer.colormap.map(7)[3] == layer.colormap.map(9)[3] == 0
    np.testing.assert_allclose(layer.colormap.map(3), before.map(3), atol=0.01)
    assert objects.objects.panel._summary.text() == "3 objects, 1 kept; mean area 25 µm²."
    assert np.array_equal(layer.data, discs())  # nothing is removed yet
    press(qtbot, objects.objects.panel.filter._all)
    assert cells(objects, "label") == ["3", "7", "9"]
    assert layer.colormap is before


def test_the_others_are_removed_and_undone(objects, qtbot):
    layer, before = layer_of(objects), layer_of(objects).colormap
    assert not objects.objects.panel.filter._remove.isEnabled()
    keep(objects, 10, 1000)
    press(qtbot, objects.objects.panel.filter._remove)
    wait_until_idle(objects, qtbot)
    assert set(np.unique(layer.data)) == {0, 3, 7}
    assert cells(objects, "label") == ["3", "7"]
    assert layer.colormap is before
    layer.undo()
    assert np.array_equal(layer.data, discs())
    assert "has changed" in objects.objects.panel._summary.text()
    assert not objects.objects.panel.filter._remove.isEnabled()


def test_csv_has_the_rows_that_are_kept(objects, qtbot, monkeypatch, tmp_path):
    keep(objects, 10, 1000)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "out"), ""))
    press(qtbot, objects.objects.panel.filter._save)
    wait_until_idle(objects, qtbot)
    with (tmp_path / "out.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["3", "7"]
    assert rows[0]["area [µm²]"] == "25"
    assert "Saved as" in objects.job_bar.message


def test_a_place_that_cannot_be_written_is_named(objects, qtbot, tmp_path):
    objects.objects.filtering.save(tmp_path / "no" / "table.csv")
    wait_until_idle(objects, qtbot)
    assert "no" in objects.job_bar.message
    assert "Saved" not in objects.job_bar.message


def test_painting_says_that_the_table_is_old(objects):
    layer_of(objects).paint((5, 5), 4)
    assert "has changed" in objects.objects.panel._summary.text()


def test_another_layer_gives_the_colors_back(objects, qtbot):
    layer, before = layer_of(objects), layer_of(objects).colormap
    keep(objects, 10, 50)
    objects.viewer.add_labels(discs() * 2, name="second")
    objects.objects.controller.choose(objects.viewer.layers["second"])
    assert layer.colormap is before
    assert not objects.objects.panel.table.isVisibleTo(objects.objects.panel)
    measure(objects, qtbot)
    assert cells(objects, "label") == ["6", "14", "18"]


def test_the_layer_may_be_removed(objects, qtbot):
    objects.viewer.layers.remove("discs")
    wait_until_idle(objects, qtbot)
    assert objects.objects.panel._summary.text() == ""
    assert not objects.objects.panel._measure.isEnabled()


def test_time_points_have_rows_of_their_own(panel, qtbot):
    movie = np.stack([discs(), np.roll(discs(), 5, axis=1)])
    panel.viewer.add_labels(movie, name="discs", axis_labels=("t", "y", "x"))
    measure(panel, qtbot)
    assert cells(panel, "t") == ["0"] * 3 + ["1"] * 3
    panel.objects.controller.canvas.go_to(4)
    assert panel.viewer.dims.point[0] == 1
    assert panel.viewer.scene.camera.center[-1] == pytest.approx(84.5)
    keep(panel, 50, 500)
    assert not panel.objects.panel.filter._remove.isEnabled()  # the same label is in several steps


def test_a_volume_is_measured_whole(panel, qtbot):
    volume = np.stack([discs()] * 3)
    panel.viewer.add_labels(volume, name="discs", scale=(2, 1, 1), units=("mm", "mm", "mm"))
    measure(panel, qtbot)
    assert cells(panel, "volume [mm³]") == ["600", "2400", "72"]
    assert cells(panel, "volume mL") == ["0.6", "2.4", "0.072"]


def test_classes_of_a_result_are_named(panel, qtbot):
    wait_until_idle(panel, qtbot)
    press(qtbot, panel.segment.panel._run)
    wait_until_idle(panel, qtbot)
    layer = next(one for one in panel.viewer.layers if isinstance(one, Labels))
    layer.data[:8, :8] = 1
    measure(panel, qtbot)
    assert cells(panel, "class") == ["nucleus"]


def test_an_empty_layer_gives_no_table(panel, qtbot):
    panel.viewer.add_labels(np.zeros((8, 9), int), name="discs")
    measure(panel, qtbot)
    assert panel.objects.panel._summary.text() == "0 objects."
    assert not panel.objects.panel.table.isVisibleTo(panel.objects.panel)


@pytest.mark.parametrize(
    ("names", "letters"),
    [
        (("z", "y", "x"), "ZYX"),
        (("t", "y", "x"), "TYX"),
        (("time", "z", "y", "x"), "TZYX"),
        (("a", "b", "c", "y", "x"), "TSZYX"),
        (("z", "t", "y", "x"), "ZTYX"),
    ],
)
def test_axes_are_those_of_their_names(names, letters):
    layer = Labels(np.zeros((2,) * len(names), int), axis_labels=names)
    assert letters_of(layer) == letters


def test_units_of_one_kind_are_converted():
    layer = Labels(np.zeros((2, 2, 2), int), scale=(1, 500, 500), units=("um", "nm", "nm"))
    sizes, unit = pixel_size(layer, "ZYX")
    assert (sizes, unit) == (pytest.approx({"Z": 1000, "Y": 500, "X": 500}), "nm")
    layer = Labels(np.zeros((2, 2), int), scale=(3, 3))
    assert pixel_size(layer, "YX") == ({"Z": 1.0, "Y": 1.0, "X": 1.0}, "pixel")


def test_lazy_and_multiscale_labels_are_measured_and_not_changed(panel, qtbot):
    big = np.kron(discs(), np.ones((4, 4), np.uint16))
    for data in (da.from_array(discs()), [big, discs()]):
        layer = panel.viewer.add_labels(data, name="discs", multiscale=isinstance(data, list))
        panel.objects.controller.choose(layer)
        measure(panel, qtbot)
        factor = 16 if isinstance(data, list) else 1
        assert cells(panel, "pixels") == [str(count * factor) for count in (100, 400, 12)]
        keep(panel, 50 * factor, 1000 * factor)
        assert not panel.objects.panel.filter._remove.isEnabled()
        panel.viewer.layers.remove(layer)


def test_objects_at_the_border_are_left_out(objects, qtbot):
    layer_of(objects).data[0:4, 0:4] = 30
    layer_of(objects).refresh()
    measure(objects, qtbot)
    box = objects.objects.panel.filter._column
    box.setCurrentIndex(box.findData("touches_border"))
    keep(objects, 0, 0)
    assert cells(objects, "label") == ["3", "7", "9"]


def test_objects_of_a_stack_are_linked(panel, qtbot):
    plane = discs()
    stack = np.stack([np.where(plane, plane + 10 * z, 0) for z in range(3)])
    panel.viewer.add_labels(stack, name="discs", scale=(2, 0.5, 0.5), translate=(0, 1, 2))
    panel._tabs.setCurrentWidget(panel.objects.panel)
    wait_until_idle(panel, qtbot)
    press(qtbot, panel.objects.panel._link)
    wait_until_idle(panel, qtbot)
    layer = panel.viewer.layers["discs linked"]
    assert not layer_of(panel).visible
    assert np.array_equal(np.unique(layer.data), [0, 1, 2, 3])
    assert np.array_equal(layer.extent.world, layer_of(panel).extent.world)
    assert panel.objects.panel._layer.currentText() == "discs linked"
    assert "3 objects" in panel.job_bar.message
    measure(panel, qtbot)
    assert cells(panel, "pixels") == ["300", "1200", "36"]


def test_flat_layers_have_nothing_to_link(objects):
    rows = objects.objects.panel._rows
    assert not rows.isRowVisible(objects.objects.panel._overlap)


def test_a_gap_of_slices_is_bridged(panel, qtbot):
    stack = np.stack([discs()] * 3)
    stack[1] = 0
    panel.viewer.add_labels(stack, name="discs")
    panel._tabs.setCurrentWidget(panel.objects.panel)
    wait_until_idle(panel, qtbot)
    press(qtbot, panel.objects.panel._link)
    wait_until_idle(panel, qtbot)
    assert "6 objects" in panel.job_bar.message
    panel.objects.controller.choose(panel.viewer.layers["discs"])
    panel.objects.panel._gap.setValue(1)
    press(qtbot, panel.objects.panel._link)
    wait_until_idle(panel, qtbot)
    assert "3 objects" in panel.job_bar.message


def test_a_lazy_stack_is_linked_slice_by_slice(panel, qtbot):
    shown = []

    def plane(block_info):
        shown.append(block_info[None]["chunk-location"][0])
        return discs()[None]

    flat = discs()
    lazy = da.map_blocks(
        plane, chunks=((1,) * 6, *((size,) for size in flat.shape)), dtype=flat.dtype
    )
    panel.viewer.add_labels(lazy, name="discs")
    panel._tabs.setCurrentWidget(panel.objects.panel)
    wait_until_idle(panel, qtbot)
    shown.clear()
    press(qtbot, panel.objects.panel._link)
    wait_until_idle(panel, qtbot)
    layer = panel.viewer.layers["discs linked"]
    assert isinstance(layer.data, np.memmap)
    assert np.array_equal(layer.data, np.stack([link_objects(flat[None], "ZYX")[0][0]] * 6))
    assert shown[:6] == [0, 1, 2, 3, 4, 5]
    layer.data_setitem((np.array([0]), np.array([0]), np.array([0])), 9)
    assert layer.data[0, 0, 0] == 9


def test_linking_can_be_stopped(panel, qtbot):
    opened, flat = threading.Event(), discs()

    def plane(block_info):
        assert opened.wait(60)
        return flat[None]

    chunks = ((1,) * 6, *((size,) for size in flat.shape))
    opened.set()
    panel.viewer.add_labels(da.map_blocks(plane, chunks=chunks, dtype=flat.dtype), name="discs")
    panel._tabs.setCurrentWidget(panel.objects.panel)
    wait_until_idle(panel, qtbot)
    opened.clear()
    press(qtbot, panel.objects.panel._link)
    panel.runner.stop()
    opened.set()
    wait_until_idle(panel, qtbot)
    assert "discs linked" not in panel.viewer.layers
    assert "nothing was linked" in panel.job_bar.message
