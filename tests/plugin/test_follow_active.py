"""The image boxes follow the selected layer, unless the image is pinned."""

from __future__ import annotations

import numpy as np
import pytest
from driving import press

from napari_emcad.plugin.layers.geometry import unwrap


@pytest.fixture
def other(panel, nuclei):
    return unwrap(panel.viewer.add_image(255 - nuclei, name="other"))


def chosen(panel):
    return panel.context.image_input.layer


def test_a_new_or_selected_image_is_chosen_on_all_tabs(panel, other):
    assert chosen(panel) is other
    layer = unwrap(panel.viewer.layers["nuclei"])
    panel.viewer.layers.selection.active = layer
    assert chosen(panel) is layer
    for tab in (panel.segment, panel.teach, panel.stages):
        assert unwrap(tab.panel._image._box.value) is layer


def test_a_pinned_image_stays_until_it_is_released(panel, other):
    panel.segment.panel._image._pin.click()
    for tab in (panel.teach, panel.stages):
        assert tab.panel._image._pin.isChecked()
    panel.viewer.layers.selection.active = panel.viewer.layers["nuclei"]
    assert chosen(panel) is other
    panel.stages.panel._image._pin.click()
    assert chosen(panel) is unwrap(panel.viewer.layers["nuclei"])
    assert not panel.segment.panel._image._pin.isChecked()


def test_layers_that_the_panel_adds_change_no_choice(panel, other, qtbot, finish):
    """The chosen image is not the active layer, and a result is inserted above it."""
    layer = unwrap(panel.viewer.layers["nuclei"])
    panel.context.image_input.set_layer(layer)
    assert panel.viewer.layers.selection.active is other
    press(qtbot, panel.segment.panel._run)
    finish(panel)
    assert "nuclei segmentation" in panel.viewer.layers
    assert chosen(panel) is layer
    assert panel.viewer.layers.selection.active is other


@pytest.mark.parametrize("kind", ["map", "probability"])
def test_what_is_no_image_to_segment_is_not_chosen(panel, nuclei, kind):
    before = chosen(panel)
    panel.viewer.add_image(nuclei, name=kind, metadata={"napari-emcad": {"kind": kind}})
    panel.viewer.add_labels(np.zeros((4, 4), int))
    panel.viewer.add_points(np.zeros((1, 2)))
    assert chosen(panel) is before


def test_a_closed_panel_follows_no_more(panel, nuclei):
    before = chosen(panel)
    panel.close_down()
    panel.viewer.add_image(nuclei, name="late")
    assert chosen(panel) is before
    panel.context.image_input.set_pinned(True)
