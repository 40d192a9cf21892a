"""An empty or full result says the likely reason."""

from __future__ import annotations

import numpy as np
import pytest
from driving import press

from napari_emcad.imaging.regions import CleanUp
from napari_emcad.inference.events import InferenceSettings
from napari_emcad.plugin.segment.summary import suspicion

EMPTY, FULL = np.zeros((4, 4), np.uint8), np.ones((4, 4), np.uint8)


@pytest.mark.parametrize(
    ("labels", "largest", "expected"),
    [
        (EMPTY, 0.31, "largest probability is 0.31, the threshold 0.5"),
        (EMPTY, 0.9, "clean-up has removed all"),
        (EMPTY, None, "may not know such images"),
        (FULL, 0.9, "Everything is of one class"),
        (np.eye(4, dtype=np.uint8), 0.9, ""),
        (EMPTY[:0], None, ""),
    ],
)
def test_the_reason_depends_on_what_was_found(labels, largest, expected):
    message = suspicion(labels, InferenceSettings(), largest, explained=False)
    assert expected in message
    assert bool(message) == bool(expected)
    assert suspicion(labels, InferenceSettings(), largest, explained=True) == ""


def test_one_object_that_fills_the_slice_is_no_suspicion():
    settings = InferenceSettings(clean_up=CleanUp(separate=True))
    assert suspicion(FULL, settings, 0.9, explained=False) == ""


def test_the_window_names_the_reason(panel, qtbot, finish):
    panel.segment.panel.clean_up._threshold.setValue(0.5)
    panel.segment.panel.clean_up._smallest.setValue(100_000)
    press(qtbot, panel.segment.panel._run)
    finish(panel)
    assert "the clean-up has removed all that was found" in panel.runner.message
    panel.segment.panel.clean_up._smallest.setValue(0)
    press(qtbot, panel.segment.panel._run)
    finish(panel)
    assert "Nothing" not in panel.runner.message
