"""An empty or full result says the likely reason."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from driving import press

from napari_emcad.imaging.regions import CleanUp
from napari_emcad.inference.events import InferenceSettings, Summary
from napari_emcad.plugin.segment.summary import suspicion

EMPTY, FULL = np.zeros((4, 4), np.uint8), np.ones((4, 4), np.uint8)
PLAIN = Summary("finished", 1, 1, "CPU")


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
    message = suspicion(labels, InferenceSettings(), largest, PLAIN)
    assert expected in message
    assert bool(message) == bool(expected)
    explained = replace(PLAIN, notices=("The image is black to the model.",))
    assert suspicion(labels, InferenceSettings(), largest, explained) == ""


def test_one_object_that_fills_the_slice_is_no_suspicion():
    settings = InferenceSettings(clean_up=CleanUp(separate=True))
    assert suspicion(FULL, settings, 0.9, PLAIN) == ""


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


@pytest.mark.parametrize(
    ("value", "share", "expected"),
    [
        (np.nan, 1.0, "Of the pixels, all are NaN"),
        (np.inf, 1.0, "Of the pixels, all are infinite"),
        (np.nan, 0.25, "Nothing was found. Of the pixels, 25% are NaN"),
        (7.0, 1.0, "Nothing was found. All pixels have one value (7)."),
    ],
)
def test_the_window_names_pixels_that_are_no_image(panel, qtbot, finish, value, share, expected):
    pixels = np.random.default_rng(0).uniform(0, 255, (64, 80)).astype(np.float32)
    pixels[: round(64 * share)] = value
    layer = panel.viewer.add_image(pixels, name="empty", contrast_limits=(0, 255))
    panel.context.image_input.set_layer(layer)
    panel.segment.panel.clean_up._threshold.setValue(0.99)
    panel.segment.panel.clean_up._smallest.setValue(100_000)
    press(qtbot, panel.segment.panel._run)
    finish(panel)
    assert expected in panel.runner.message
