"""The review queue in the window: images of a folder, opened one at a time."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import tifffile
from driving import OBJECT_STARTS, TIMEOUT_MS, draw_stroke, press, wait_until_idle
from napari.layers import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

from napari_emcad.io.project_folder import ProjectError, read_project


@pytest.fixture
def folder(tmp_path, nuclei):
    """Return a folder of three images and a text."""
    folder = tmp_path / "images"
    folder.mkdir()
    for n in range(3):
        tifffile.imwrite(folder / f"cells{n}.tif", np.roll(nuclei, 5 * n, 1))
    (folder / "notes.txt").write_text("no image")
    return folder


@pytest.fixture
def reviewing(viewer, dock, folder, qtbot, monkeypatch):
    """Return a panel whose queue has the images of the folder; the first one is open."""
    panel = dock(viewer)
    panel.show_tab(panel.teach)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder))
    press(qtbot, box(panel)._folder)
    wait_until_idle(panel, qtbot)
    return panel


def box(panel):
    return panel.teach.panel.review


def images(panel):
    return [layer.name for layer in panel.viewer.layers if isinstance(layer, Image)]


def states(panel):
    return [(item.name, item.done) for item in panel.session.review.items]


def segment(panel, qtbot):
    press(qtbot, panel.segment.panel._run)
    wait_until_idle(panel, qtbot)


def test_a_folder_is_listed_and_only_one_image_is_open(reviewing):
    assert [name for name, _ in states(reviewing)] == ["cells0.tif", "cells1.tif", "cells2.tif"]
    assert images(reviewing) == ["cells0"]
    assert box(reviewing)._count.text() == "0 of 3 done; 3 to do."
    assert reviewing.context.image_input.layer is reviewing.viewer.layers["cells0"]
    assert not box(reviewing)._previous.isEnabled()


def test_next_closes_what_nothing_was_done_on(reviewing, qtbot):
    segment(reviewing, qtbot)
    press(qtbot, box(reviewing)._next)
    assert [layer.name for layer in reviewing.viewer.layers] == ["cells1"]
    assert reviewing.segment.panel._run.isEnabled()
    press(qtbot, box(reviewing)._previous)
    assert images(reviewing) == ["cells0"]
    assert box(reviewing)._table.selected_rows == [0]


def test_an_annotated_image_stays_hidden_and_comes_back(reviewing, qtbot):
    press(qtbot, reviewing.teach.panel._new)
    draw_stroke(reviewing, 1, OBJECT_STARTS[0])
    wait_until_idle(reviewing, qtbot)
    press(qtbot, box(reviewing)._next)
    wait_until_idle(reviewing, qtbot)
    visible = {layer.name: layer.visible for layer in reviewing.viewer.layers}
    assert visible == {"cells0": False, "cells0 annotation": False, "cells1": True}
    assert reviewing.session.project.record.pixel_counts[1]  # it is still learned
    press(qtbot, box(reviewing)._previous)
    assert reviewing.viewer.layers["cells0 annotation"].visible
    assert images(reviewing) == ["cells0"]


def test_a_corrected_result_is_not_closed(reviewing, qtbot):
    segment(reviewing, qtbot)
    result = reviewing.viewer.layers["cells0 segmentation"]
    result.data_setitem((np.array([3]), np.array([3])), 1)
    press(qtbot, box(reviewing)._next)
    assert result in reviewing.viewer.layers
    assert not result.visible
    assert images(reviewing) == ["cells0", "cells1"]


def test_done_goes_on_and_can_be_taken_back(reviewing, qtbot):
    press(qtbot, box(reviewing)._done)
    assert images(reviewing) == ["cells1"]
    assert box(reviewing)._count.text() == "1 of 3 done; 2 to do."
    press(qtbot, box(reviewing)._done)
    press(qtbot, box(reviewing)._done)
    assert "All images are done." in reviewing.runner.message
    assert box(reviewing)._count.text() == "3 of 3 done."
    assert not box(reviewing)._next.isEnabled()
    assert box(reviewing)._done.text() == "Not done"
    press(qtbot, box(reviewing)._done)
    assert states(reviewing)[2] == ("cells2.tif", False)


def test_shortcuts(reviewing, qtbot):
    shortcuts = {one.key().toString(): one for one in reviewing.teach.bind_shortcuts(reviewing)}
    shortcuts["Alt+D"].activated.emit()
    assert states(reviewing)[0] == ("cells0.tif", True)
    shortcuts["Alt+PgDown"].activated.emit()
    assert images(reviewing) == ["cells2"]
    shortcuts["Alt+PgUp"].activated.emit()
    assert images(reviewing) == ["cells1"]


def test_a_row_opens_its_image_also_with_the_arrow_keys(reviewing, qtbot):
    box(reviewing)._table.row_chosen.emit(1)
    qtbot.keyClick(box(reviewing)._table, Qt.Key.Key_Down)
    assert images(reviewing) == ["cells2"]
    assert box(reviewing)._table.selected_rows == [2]


def test_a_file_that_cannot_be_opened_leaves_the_one_before(reviewing, qtbot, folder):
    (folder / "cells1.tif").write_bytes(b"nonsense")
    reviewing.teach.review.open(1)
    assert "cells1.tif cannot be opened" in reviewing.runner.message
    assert images(reviewing) == ["cells0"]
    assert box(reviewing)._table.selected_rows == [0]
    (folder / "cells2.tif").unlink()
    reviewing.teach.review.open(2)
    assert "cells2.tif cannot be opened" in reviewing.runner.message
    assert images(reviewing) == ["cells0"]


def test_a_file_that_cannot_be_opened_closes_nothing(reviewing, qtbot, folder):
    (folder / "cells1.tif").write_bytes(b"nonsense")
    before = reviewing.viewer.layers["cells0"]
    before.contrast_limits = (10, 20)
    reviewing.teach.review.open(1)
    assert list(reviewing.viewer.layers) == [before]
    assert before.contrast_limits == [10, 20]


def test_done_passes_over_a_file_that_cannot_be_opened(reviewing, qtbot, folder, nuclei):
    (folder / "cells1.tif").write_bytes(b"nonsense")
    press(qtbot, box(reviewing)._done)
    assert images(reviewing) == ["cells2"]
    assert "cells1.tif cannot be opened" in reviewing.runner.message
    assert "\n" not in reviewing.runner.message
    model = box(reviewing)._table.model()
    shown = [model.index(row, 1).data() for row in range(3)]
    assert shown == ["done", "not opened", "to do"]
    assert not box(reviewing)._next.isEnabled()
    tifffile.imwrite(folder / "cells1.tif", nuclei)
    reviewing.teach.review.open(1)
    assert images(reviewing) == ["cells1"]
    assert not reviewing.session.review.items[1].failed


def test_all_layers_of_a_file_are_closed(reviewing, qtbot, monkeypatch, nuclei):
    opened = reviewing.viewer.open
    monkeypatch.setattr(
        type(reviewing.viewer), "open", lambda self, path, **_: opened([path, path], **_)
    )
    press(qtbot, box(reviewing)._next)
    assert len(images(reviewing)) == 2
    monkeypatch.undo()
    press(qtbot, box(reviewing)._next)
    assert images(reviewing) == ["cells2"]


def test_labels_that_a_file_brings_are_never_closed(reviewing, qtbot, folder):
    labels = reviewing.viewer.open(folder / "cells0.tif", layer_type="labels", plugin="napari")[0]
    labels.data[:5, :5] = 9
    press(qtbot, box(reviewing)._next)
    assert labels in reviewing.viewer.layers
    assert not labels.visible
    press(qtbot, box(reviewing)._previous)
    assert labels.visible
    assert images(reviewing) == ["cells0"]


def test_a_running_job_is_waited_for(reviewing, qtbot):
    ticket = reviewing.session.begin("Segmenting")
    press(qtbot, box(reviewing)._next)
    assert images(reviewing) == ["cells0"]
    assert "wait" in reviewing.runner.message
    reviewing.session.end(ticket)


def test_an_empty_folder_is_named(reviewing, qtbot, tmp_path, monkeypatch):
    empty = tmp_path / "empty"
    empty.mkdir()
    reviewing.teach.review.add_folder(empty)
    assert "has no images" in reviewing.runner.message


def test_open_images_are_listed_and_never_closed(panel, qtbot, nuclei):
    panel.viewer.add_image(nuclei[::-1].copy(), name="second")
    press(qtbot, box(panel)._layers)
    press(qtbot, box(panel)._layers)
    assert [name for name, _ in states(panel)] == ["nuclei", "second"]
    press(qtbot, box(panel)._next)
    press(qtbot, box(panel)._next)
    assert {one.name: one.visible for one in panel.viewer.layers} == {
        "nuclei": False,
        "second": True,
    }


def test_the_score_of_a_comparison_is_listed(reviewing, qtbot, nuclei):
    segment(reviewing, qtbot)
    reviewing.viewer.add_labels((nuclei > 100).astype(np.uint8), name="truth")
    reviewing.show_tab(reviewing.scores)
    press(qtbot, reviewing.scores.panel._compare)
    wait_until_idle(reviewing, qtbot)
    assert reviewing.session.review.items[0].dice > 0.5
    assert reviewing.session.review.items[1].dice is None


def test_the_queue_survives_in_a_project_that_is_moved(reviewing, qtbot, folder, tmp_path):
    press(qtbot, box(reviewing)._done)
    reviewing.project.save(tmp_path / "cells.emcad")
    wait_until_idle(reviewing, qtbot)
    moved = tmp_path / "moved"
    moved.mkdir()
    shutil.move(tmp_path / "cells.emcad", moved / "cells.emcad")
    shutil.move(folder, moved / "images")
    press(qtbot, box(reviewing)._clear)
    assert not states(reviewing)
    reviewing.project.open(moved / "cells.emcad")
    qtbot.waitUntil(lambda: len(states(reviewing)) == 3, timeout=TIMEOUT_MS)
    wait_until_idle(reviewing, qtbot)
    assert states(reviewing)[0] == ("cells0.tif", True)
    assert reviewing.session.review.items[0].path == str(moved / "images" / "cells0.tif")


def test_projects_without_a_queue_are_read_and_damaged_ones_named(reviewing, qtbot, tmp_path):
    reviewing.project.save(tmp_path / "cells.emcad")
    wait_until_idle(reviewing, qtbot)
    index = tmp_path / "cells.emcad" / "project.json"
    content = json.loads(index.read_text())
    del content["review"]
    index.write_text(json.dumps(content))
    assert read_project(tmp_path / "cells.emcad")[0].review == ()
    index.write_text(json.dumps(content | {"review": 3}))
    with pytest.raises(ProjectError, match="images to review"):
        read_project(tmp_path / "cells.emcad")


def test_the_queue_stays_when_the_dock_is_closed(reviewing, dock, qtbot):
    press(qtbot, box(reviewing)._done)
    viewer = reviewing.viewer
    reviewing.parent().destroyOnClose()
    again = dock(viewer)
    assert box(again)._count.text() == "1 of 3 done; 2 to do."
