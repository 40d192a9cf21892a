"""A viewer that tests share is as good as new for every one of them."""

from __future__ import annotations

import numpy as np
from driving import draw_strokes, press, train
from napari.settings import get_settings
from shared_viewer import functions_of_napari, observe

from napari_emcad.plugin.stages.request import StageChoices


def use_everything(panel, qtbot, finish):
    """Change whatever a test may change."""
    viewer = panel.viewer
    draw_strokes(panel, qtbot)
    train(panel, qtbot)
    panel.stages.panel.set_value(StageChoices((4, 1), ("probability",)))
    panel.stages.controller.compute()
    finish(panel)
    panel.stages.controller.side_by_side(True)
    press(qtbot, panel.segment.panel._run)
    finish(panel)
    viewer.add_image(np.zeros((3, 4, 5, 40, 50)), axis_labels=list("tczyx"), name="five")
    viewer.dims.set_current_step((0, 1), (2, 3))
    viewer.dims.order = (2, 1, 0, 3, 4)
    viewer.dims.ndisplay = 3
    viewer.scene.camera.zoom, viewer.scene.camera.angles = 7, (1, 2, 3)
    viewer.theme = "light"
    viewer.title = "mine"
    viewer.status = "odd"
    viewer.tooltip.visible = True
    viewer.cursor.position = (1, 2)
    viewer.bind_key("F9", lambda _: None)
    viewer.mouse_move_callbacks.append(lambda *_: None)
    viewer.layers.events.removed.connect(lambda _: None)
    viewer.layers.events.end_batch.disconnect(
        viewer.window._qt_viewer.canvas._resume_scene_graph_update
    )
    viewer.window._qt_window.resize(900, 700)
    get_settings().appearance.highlight.highlight_thickness = 3


def test_a_used_viewer_is_reset_to_a_new_one(
    shared_viewer, make_napari_viewer, request, finish, qtbot
):
    new = make_napari_viewer()
    expected, connected = observe(new), functions_of_napari(new)
    assert connected
    assert observe(shared_viewer.viewer) == expected
    use_everything(request.getfixturevalue("teach"), qtbot, finish)
    assert observe(shared_viewer.viewer) != expected
    shared_viewer.reset()
    assert observe(shared_viewer.viewer) == expected
    assert connected <= functions_of_napari(shared_viewer.viewer)
