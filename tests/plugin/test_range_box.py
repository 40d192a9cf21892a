"""The Segment tab warns of images whose values the model does not expect, before the first run."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt

from napari_emcad.imaging.exposure import range_report
from napari_emcad.imaging.intensity import Preprocessing
from napari_emcad.imaging.slices import as_slices


@pytest.fixture
def ct(viewer, dock, nuclei):
    """Return the panel of a viewer with values like those of CT, and a model for bytes."""
    viewer.add_image(nuclei.astype(np.int16) * 5 - 1000, name="ct")
    panel = dock(viewer)
    panel.session.override(intensity="range", low=0, high=255)
    return panel


@pytest.fixture
def box(ct, qtbot):
    shown = ct.segment.panel.range_box
    qtbot.waitUntil(lambda: not shown.isHidden(), timeout=10_000)
    return shown


def test_the_range_of_image_and_model_are_named(box):
    assert "expects 0 … 255; this image has -940 … -250" in box._text.text()
    assert "black to the model" in box._text.text()


@pytest.mark.parametrize(
    ("name", "expected"),
    [("_ct", ("range", -125, 275)), ("_percentiles", ("percentile", 0.5, 99.5))],
)
def test_a_button_sets_the_range_and_another_one_undoes_it(box, ct, qtbot, name, expected):
    qtbot.mouseClick(getattr(box, name), Qt.MouseButton.LeftButton)
    pixels = ct.session.checkpoint.preprocessing
    assert (pixels.intensity, pixels.low, pixels.high) == expected
    qtbot.waitUntil(lambda: not box._revert.isHidden(), timeout=10_000)
    qtbot.mouseClick(box._revert, Qt.MouseButton.LeftButton)
    pixels = ct.session.checkpoint.preprocessing
    assert (pixels.intensity, pixels.low, pixels.high) == ("range", 0, 255)
    qtbot.waitUntil(lambda: not box._keep.isHidden(), timeout=10_000)


def test_bounds_are_dragged(box, ct, qtbot):
    bars = box._histogram
    bars.resize(200, 56)
    qtbot.mousePress(bars, Qt.MouseButton.LeftButton, pos=QPoint(195, 20))
    qtbot.mouseMove(bars, QPoint(100, 20))
    qtbot.mouseRelease(bars, Qt.MouseButton.LeftButton, pos=QPoint(100, 20))
    pixels = ct.session.checkpoint.preprocessing
    assert pixels.low < pixels.high
    assert -940 <= pixels.low <= -250
    assert -940 <= pixels.high <= -250


def test_keep_silences_the_warning_for_this_image_alone(box, ct, qtbot, viewer, nuclei):
    qtbot.mouseClick(box._keep, Qt.MouseButton.LeftButton)
    assert box.isHidden()
    assert ct.session.checkpoint.preprocessing.high == 255
    ct.session.override(title="other")
    viewer.add_image(nuclei.astype(np.int16) * 7 - 1000, name="other")
    ct.context.image_input.set_layer(viewer.layers["other"])
    qtbot.waitUntil(lambda: not box.isHidden(), timeout=10_000)
    ct.context.image_input.set_layer(viewer.layers["ct"])
    qtbot.waitUntil(box.isHidden, timeout=10_000)


def test_images_that_fit_show_no_warning(box, ct, qtbot, viewer, nuclei):
    ct.context.image_input.set_layer(viewer.add_image(nuclei, name="bytes"))
    qtbot.waitUntil(box.isHidden, timeout=10_000)


def test_no_thread_is_left_when_the_panel_closes(box, ct, qtbot):
    ct.session.override(low=1)
    ct.segment.range._check()
    ct.close_down()
    assert ct.segment.range._job is None


@pytest.mark.parametrize("intensity", ["percentile", "none"])
def test_a_model_that_adapts_needs_no_report(intensity):
    pixels = Preprocessing(intensity, 0, 100, mean=(0.0,), std=(1.0,))
    slices = as_slices(np.arange(4096.0).reshape(64, 64), 1, "YX")
    assert range_report(slices, pixels) is None
