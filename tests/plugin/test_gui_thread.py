"""Work on the GUI thread is counted in calls and in CPU time of that thread, not in wall time."""

from __future__ import annotations

import threading
import time

import numpy as np
from driving import TIMEOUT_MS
from napari.components.grid import GridCanvas

from napari_emcad.inference.stage_maps.specs import MAP_SPECS
from napari_emcad.plugin.runner.warm_up import warm_up_job
from napari_emcad.plugin.stages.fast_grid import enable_grid, set_visible
from napari_emcad.plugin.stages.request import StageChoices


def count_grids(monkeypatch, viewer):
    """Return a list that grows whenever napari's grid is switched or changed while it is on."""
    changes, grid = [], viewer.canvas.grid
    grid.events.connect(lambda event: changes.append(event.type) if grid.enabled else None)
    return changes


def test_many_maps_side_by_side_draw_the_grid_once(panel, qtbot, finish, monkeypatch):
    maps = StageChoices((1, 2, 3, 4), tuple(MAP_SPECS)[:6])
    panel.stages.panel.set_value(StageChoices((1,), ("probability",)))
    panel.stages.controller.compute()
    finish(panel)
    qtbot.waitUntil(lambda: not panel.stages.presenter.waiting, timeout=TIMEOUT_MS)
    panel.stages.controller.side_by_side(True)
    changes = count_grids(monkeypatch, panel.viewer)
    positions, original = [], GridCanvas._effective_indices

    def counted(self, layers):
        positions.append(1)
        return original(self, layers)

    monkeypatch.setattr(GridCanvas, "_effective_indices", counted)
    panel.stages.panel.set_value(maps)
    panel.stages.controller.compute()
    finish(panel)
    qtbot.waitUntil(lambda: not panel.stages.presenter.waiting, timeout=TIMEOUT_MS)
    count = len(panel.viewer.layers)
    assert count > 12
    assert panel.viewer.canvas.grid.enabled
    assert changes.count("enabled") == 1
    assert len(positions) < 40 * count  # napari alone asks more than count ** 3 times
    assert panel.stages.panel._side_by_side.isChecked()


def test_many_layers_are_shown_and_hidden_at_once(viewer, monkeypatch):
    """napari arranges all layers whenever one changes; n layers took n times as long as one."""
    canvas = viewer.window._qt_viewer.canvas
    arranged, original = [], type(canvas)._update_scenegraph
    layers = [viewer.add_image(np.eye(8), visible=False) for _ in range(12)]

    def _update_scenegraph(self, event=None):
        arranged.append(1)
        original(self, event)

    monkeypatch.setattr(type(canvas), "_update_scenegraph", _update_scenegraph)
    viewer.canvas.grid.enabled = True
    for visible in (True, False):
        arranged.clear()
        set_visible(dict.fromkeys(layers, visible))
        assert [layer.visible for layer in layers] == [visible] * 12
        nodes = [canvas.layer_to_visual[layer].node for layer in layers]
        assert [node.visible for node in nodes] == [visible] * 12
        assert len(arranged) == 1
    viewer.canvas.grid.enabled = False
    arranged.clear()
    set_visible(dict.fromkeys(layers, True), arrange=False)
    assert not arranged
    enable_grid(viewer.canvas.grid, shape=(-1, 4), spacing=3)
    assert viewer.canvas.grid.actual_shape(viewer.layers) == (3, 4)
    assert viewer.canvas.grid.spacing == 3
    assert len(arranged) == 1
    nodes = [canvas.layer_to_visual[layer].node for layer in layers]
    assert all(node.visible for node in nodes)
    layers[0].visible = False  # nothing stays blocked or remembered
    assert len(arranged) == 2
    assert viewer.canvas.grid.position(0, viewer.layers) == (-1, -1)
    assert viewer.canvas.grid.contents_at((0, 0), viewer.layers) == (1,)
    viewer.layers.clear()
    assert viewer.canvas.grid.actual_shape(viewer.layers) == (1, 1)


def test_the_first_labels_layer_is_prepared_in_a_thread(viewer, nuclei):
    from vispy.visuals.line.dash_atlas import DashAtlas

    threads, made = [], DashAtlas.__init__

    def atlas(self, *args, **kwargs):
        threads.append(threading.current_thread())
        made(self, *args, **kwargs)

    DashAtlas.__init__ = atlas
    try:
        thread = threading.Thread(target=lambda: list(warm_up_job(threading.Event())))
        thread.start()
        thread.join(120)
    finally:
        DashAtlas.__init__ = made
    assert threads == [thread]
    start = time.thread_time()
    viewer.add_labels(np.zeros((96, 128), np.uint8))
    assert time.thread_time() - start < 0.3
