"""In the 3-D view, before the mouse was over the canvas, everything works or says what to do."""

from __future__ import annotations

import numpy as np
import pytest
from driving import (
    annotation,
    choose_quick_training,
    press,
    train,
    wait_until_idle,
)
from napari.layers import Labels

from napari_emcad.plugin.stages.request import StageChoices


@pytest.fixture
def cube(viewer, dock, nuclei):
    """Return a panel on a stack in the 3-D view of a window that the mouse has not entered."""
    viewer.add_image(np.stack([nuclei] * 6), name="stack", axis_labels=("z", "y", "x"))
    panel = dock(viewer)
    viewer.dims.ndisplay = 3
    return panel


def results(panel):
    return [layer for layer in panel.viewer.layers if isinstance(layer, Labels)]


def touch_all(panel):
    """Select all layers one after another, with tool tips, as napari does for its status line."""
    panel.viewer.tooltip.visible = True
    for layer in list(panel.viewer.layers):
        panel.viewer.layers.selection.active = layer
        assert layer.get_status((1, 24, 30), dims_displayed=[0, 1, 2], world=True)


@pytest.mark.parametrize("scope", ["slice", "layer"])
@pytest.mark.parametrize("separate", [False, True])
def test_segment_makes_one_layer_however_often_it_is_pressed(cube, qtbot, finish, scope, separate):
    panel = cube.segment.panel
    panel._scope.setCurrentIndex(panel._scope.findData(scope))
    panel._separate.setChecked(separate)
    for _ in range(2):
        press(qtbot, panel._run)
        assert cube.runner.running
        finish(cube)
        (layer,) = results(cube)
        assert layer.data.any()
    touch_all(cube)


def test_what_is_not_possible_says_so_and_adds_nothing(cube, qtbot):
    panel = cube.segment.panel
    panel._scope.setCurrentIndex(panel._scope.findData("view"))
    cube.segment.controller.run()
    assert "2-D view" in panel._reason.text()
    assert not results(cube)


def test_annotating_training_maps_and_suggestions_work(cube, qtbot, finish):
    choose_quick_training(cube)
    press(qtbot, cube.teach.panel._new)
    wait_until_idle(cube, qtbot)
    for value, row in ((1, 24), (255, 60)):
        labels = annotation(cube)
        labels.data_setitem((np.full(8, 2), np.full(8, row), np.arange(30, 38)), value)
        wait_until_idle(cube, qtbot)
    train(cube, qtbot)
    assert len(cube.session.versions) == 2
    cube.teach.annotating.correct()
    cube.stages.panel.set_value(StageChoices((1,), ("probability",)))
    cube.stages.controller.compute()
    finish(cube)
    qtbot.waitUntil(lambda: not cube.stages.presenter.waiting)
    assert "Computed" in cube.job_bar.message
    cube.teach.suggesting.suggest()
    finish(cube)
    touch_all(cube)


def test_a_status_in_3d_has_the_class_under_the_mouse(cube, qtbot, finish):
    press(qtbot, cube.segment.panel._run)
    finish(cube)
    (layer,) = results(cube)
    status = layer.get_status(
        (-1, 24, 30), view_direction=np.array((1.0, 0, 0)), dims_displayed=[0, 1, 2], world=True
    )
    assert "nucleus" in status["coordinates"]
