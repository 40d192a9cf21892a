"""Clicks, strokes and waits that several tests of the window share."""

from __future__ import annotations

import gc

from qtpy.QtCore import Qt

from napari_emcad.model.network import PvtEmcad
from napari_emcad.plugin.widgets.image_combo import is_map

PATIENCE_MS = 60_000
OBJECTS = ((24, 30), (50, 80), (75, 40), (30, 105))
GROUND = ((8, 60), (60, 20), (85, 100), (40, 55))


def quick(panel, steps=1):
    """Let a training take no time."""
    form = panel.teach_panel.form
    form._steps.setValue(steps)
    form._batch.setValue(1)
    form._crop.setValue(64)


def press(qtbot, button):
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def annotation(panel):
    return panel.teach_controller.pair.labels


def stroke(panel, k, at, length=8):
    """Paint a short stroke of class k as the brush does."""
    panel.teach_controller.paint(k)
    labels = annotation(panel)
    for step in range(length):
        labels.paint((*at[:-1], at[-1] + step), labels.selected_label)


def settle(panel, qtbot):
    """Wait until nothing runs and every stroke was looked at."""

    def idle():
        teacher = panel.training_runner
        busy = panel.job_bar.running or teacher._watch.looking
        return not busy and teacher._next is None

    qtbot.wait(260)
    qtbot.waitUntil(idle, timeout=PATIENCE_MS)


def strokes(panel, qtbot, count=1):
    for at in OBJECTS[:count]:
        stroke(panel, 1, at)
        settle(panel, qtbot)
    for at in GROUND[:count]:
        stroke(panel, 0, at)
        settle(panel, qtbot)


def train(panel, qtbot):
    qtbot.waitUntil(panel.teach_panel._train.isEnabled, timeout=PATIENCE_MS)
    press(qtbot, panel.teach_panel._train)
    settle(panel, qtbot)


def prediction(panel):
    found = [each for each in panel.viewer.layers if each.name.endswith("prediction")]
    return found[0] if found else None


def networks():
    """Return which networks are alive; those of other tests' windows may be among them."""
    gc.collect()
    return {id(each) for each in gc.get_objects() if type(each) is PvtEmcad}


def maps(panel):
    return {
        each.metadata["napari-emcad"]["map"]: each for each in panel.viewer.layers if is_map(each)
    }
