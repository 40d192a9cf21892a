"""The shelf of models on the Model tab: what can be opened, with pictures, and what is missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from driving import TIMEOUT_MS, press
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QFileDialog

import napari_emcad
from napari_emcad.io.model_shelf import ModelShelf, ModelSummary
from napari_emcad.pipelines.model_presets import MODEL_PRESETS
from napari_emcad.plugin.autosave import controller


def shelf(panel):
    return panel.model.panel.shelf


def rows(panel):
    items = shelf(panel)._list
    return [items.item(n) for n in range(items.count())]


def named(panel, start):
    return next(item for item in rows(panel) if item.text().startswith(start))


def click(qtbot, panel, item):
    items = shelf(panel)._list
    items.scrollToItem(item)
    place = items.visualItemRect(item).center()
    qtbot.mouseClick(items.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(place))


@pytest.fixture
def filled(panel, qtbot):
    """Return a panel on its Model tab, whose shelf is filled."""
    panel.show_tab(panel.model)
    qtbot.waitUntil(lambda: len(rows(panel)) >= 1 + len(MODEL_PRESETS), timeout=TIMEOUT_MS)
    return panel


@pytest.fixture
def mine(filled, tmp_path, finish, qtbot):
    """Open a model of the user beside the bundled one, and return its path."""
    path = tmp_path / "mine.safetensors"
    model = napari_emcad.bundled_checkpoint().override(title="Mine", classes=("glomerulus",))
    napari_emcad.write_checkpoint(model, path)
    filled.model.controller.open_file(path)
    finish(filled)
    qtbot.waitUntil(
        lambda: any("glomerulus" in item.text() for item in rows(filled)), timeout=TIMEOUT_MS
    )
    return path


def test_bundled_and_published_models_say_what_they_expect(filled):
    bundled, *published = rows(filled)
    assert bundled.text().startswith("Bundled model\n")
    assert "3 channels · " in bundled.text()
    assert bundled.isSelected()
    assert [item.text().split("\n")[0] for item in published] == [
        f"Published {title}" for title in MODEL_PRESETS
    ]
    assert "aorta" in published[0].text()
    assert "1 channel · -125 … 275 · 224 × 224" in published[0].text()


def test_a_click_opens_a_model_and_marks_it(filled, mine, finish, qtbot):
    assert named(filled, "mine.safetensors").isSelected()
    click(qtbot, filled, named(filled, "Bundled"))
    finish(filled)
    assert filled.session.checkpoint.origin.path != str(mine)
    qtbot.waitUntil(lambda: named(filled, "Bundled").isSelected(), timeout=TIMEOUT_MS)
    click(qtbot, filled, named(filled, "mine"))
    finish(filled)
    assert filled.session.checkpoint.title == "Mine"


def test_arrow_keys_choose_and_enter_opens(filled, mine, finish, qtbot):
    items = shelf(filled)._list
    qtbot.keyClick(items, Qt.Key.Key_Up)
    assert items.currentItem().text().startswith("Bundled")
    assert filled.session.checkpoint.title == "Mine"
    qtbot.keyClick(items, Qt.Key.Key_Return)
    finish(filled)
    assert filled.session.checkpoint.title != "Mine"


def test_the_dice_of_a_trained_model_is_shown(filled, tmp_path, finish, qtbot):
    path = tmp_path / "scored.safetensors"
    history = ({"event": "trained", "best_dice": 0.8765},)
    napari_emcad.write_checkpoint(replace(napari_emcad.bundled_checkpoint(), history=history), path)
    filled.model.controller.open_file(path)
    finish(filled)
    qtbot.waitUntil(lambda: any("Dice 0.88" in i.text() for i in rows(filled)), timeout=TIMEOUT_MS)


def test_a_missing_file_is_named_and_can_be_removed(filled, mine, finish, qtbot):
    mine.unlink()
    filled.model.shelf.refresh()
    qtbot.waitUntil(lambda: "missing" in rows(filled)[1].text(), timeout=TIMEOUT_MS)
    item = named(filled, "mine.safetensors: the file is missing")
    before = filled.session.checkpoint
    click(qtbot, filled, item)
    assert filled.session.checkpoint is before
    assert not filled.runner.running
    press(qtbot, shelf(filled)._remove)
    qtbot.waitUntil(lambda: not any("mine" in i.text() for i in rows(filled)), timeout=TIMEOUT_MS)
    assert not list((controller.recovery_root().parent / "shelf").glob("*.json"))


def test_the_bundled_model_cannot_be_removed(filled, qtbot):
    shelf(filled)._list.setCurrentItem(named(filled, "Bundled"))
    assert not shelf(filled)._remove.isEnabled()


def test_a_published_model_gets_its_settings(filled, finish, qtbot, tmp_path, monkeypatch):
    path = tmp_path / "polyps.pth"
    napari_emcad.write_checkpoint(napari_emcad.bundled_checkpoint(), path)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    click(qtbot, filled, named(filled, "Published Polyps"))
    finish(filled)
    checkpoint = filled.session.checkpoint
    assert [label.name for label in checkpoint.classes] == ["polyp"]
    assert checkpoint.preprocessing.size == (352, 352)


def test_a_file_that_is_not_the_published_model_says_so(
    filled, finish, qtbot, tmp_path, monkeypatch
):
    path = tmp_path / "other.pth"
    napari_emcad.write_checkpoint(napari_emcad.bundled_checkpoint(), path)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    click(qtbot, filled, named(filled, "Published Synapse: abdominal"))
    finish(filled)
    assert filled.runner.message
    assert [label.name for label in filled.session.checkpoint.classes] != ["aorta"]


def test_a_picture_of_the_last_result_is_kept(filled, mine, finish, qtbot):
    store = ModelShelf(controller.recovery_root().parent / "shelf")
    assert store.read_picture(str(mine)) is None
    press(qtbot, filled.segment.panel._run)
    finish(filled)
    qtbot.waitUntil(lambda: store.read_picture(str(mine)) is not None, timeout=TIMEOUT_MS)
    picture = store.read_picture(str(mine))
    assert picture.shape == (42, 56, 3)
    assert (picture.max(2) > picture.min(2)).any()  # the color of the class


def test_the_list_waits_for_a_running_job(filled, qtbot):
    ticket = filled.session.begin("Training")
    assert not shelf(filled).isEnabled()
    filled.session.end(ticket)
    assert shelf(filled).isEnabled()


def test_a_damaged_folder_hides_nothing(tmp_path):
    store = ModelShelf(tmp_path)
    summary = ModelSummary("a", "cells", "1 channel", 0.5, ("#ff0000",))
    store.write("a", summary)
    store.write_picture("a", np.zeros((4, 5, 3), np.uint8))
    assert store.read("a") == summary
    assert store.read_picture("a").shape == (4, 5, 3)
    for file in tmp_path.iterdir():
        file.write_bytes(b"nonsense")
    assert store.read("a") is None
    assert store.read_picture("a") is None
