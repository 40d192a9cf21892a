"""Helpers of the window's tests: click, draw strokes, train, wait."""

from __future__ import annotations

import gc

from qtpy.QtCore import Qt

from napari_emcad.model.network import PvtEmcad
from napari_emcad.plugin.layers.kinds import is_map

TIMEOUT_MS = 60_000
OBJECT_STARTS = ((24, 30), (50, 80), (75, 40), (30, 105))
BACKGROUND = ((8, 60), (60, 20), (85, 100), (40, 55))


def choose_quick_training(panel, steps=1):
    """Choose settings with which a training takes almost no time."""
    form = panel.teach.panel.form
    form._steps.setValue(steps)
    form._batch.setValue(1)
    form._crop.setValue(64)


def press(qtbot, button):
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def annotation(panel):
    return panel.teach.annotating.pair.labels


def draw_stroke(panel, k, at, length=8):
    """Draw a short stroke of class k with napari's brush."""
    panel.teach.annotating.paint(k)
    drag(annotation(panel), [(*at[:-1], at[-1] + step) for step in range(length)])


def drag(labels, positions):
    """Paint at all positions and draw the layer once, as napari does for a move of the mouse."""
    for position in positions:
        labels.paint(position, labels.selected_label, refresh=False)
    labels._partial_labels_refresh()


def wait_until_idle(panel, qtbot):
    """Wait until all strokes are scanned and no job runs."""
    panel.annotations.flush()
    qtbot.waitUntil(
        lambda: panel.teach.training.queue.idle and not panel.runner.running, timeout=TIMEOUT_MS
    )
    panel.teach.view.show()


def draw_strokes(panel, qtbot, count=1):
    for at in OBJECT_STARTS[:count]:
        draw_stroke(panel, 1, at)
        wait_until_idle(panel, qtbot)
    for at in BACKGROUND[:count]:
        draw_stroke(panel, 0, at)
        wait_until_idle(panel, qtbot)


def train(panel, qtbot):
    qtbot.waitUntil(panel.teach.panel._train.isEnabled, timeout=TIMEOUT_MS)
    press(qtbot, panel.teach.panel._train)
    wait_until_idle(panel, qtbot)


def prediction(panel):
    layers = [layer for layer in panel.viewer.layers if layer.name.endswith("prediction")]
    return layers[0] if layers else None


def networks():
    """Return the identities of all networks in memory, including those of other tests."""
    gc.collect()
    return {id(obj) for obj in gc.get_objects() if type(obj) is PvtEmcad}


def maps(panel):
    return {
        layer.metadata["napari-emcad"]["map"]: layer
        for layer in panel.viewer.layers
        if is_map(layer)
    }
