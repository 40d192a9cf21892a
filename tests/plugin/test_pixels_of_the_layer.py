"""The panel names images outside of the range of a model, and shows how channels are scaled."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import Qt


def test_a_line_in_the_panel_names_an_image_outside_of_the_range(panel, viewer, finish, qtbot):
    layer = viewer.layers[0]
    panel.session.override(intensity="range", low=0.0, high=255.0)
    layer.data = (np.asarray(layer.data) / 255).astype(np.float32)
    qtbot.mouseClick(panel.segment.panel._run, Qt.MouseButton.LeftButton)
    finish(panel)
    assert "the model expects 0 … 255" in panel.job_bar.message


def test_the_model_tab_shows_and_changes_which_channels_share_a_range(panel, qtbot):
    form = panel.model.panel._details
    assert form._pool.currentData() == "color"
    form._pool.setCurrentIndex(form._pool.findData("all"))
    form._pool.activated.emit(form._pool.currentIndex())
    assert panel.session.checkpoint.preprocessing.pool_channels == "all"
