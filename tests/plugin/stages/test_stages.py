"""The Stages tab: maps of all decoder stages as layers aligned with their image."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest
import torch
from driving import maps
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.layers import Image
from placements import placed_images
from qtpy.QtCore import Qt, QTimer

from napari_emcad import stage_maps
from napari_emcad.imaging.slices import Scope
from napari_emcad.inference.stage_maps.keys import MapKey, StageMap
from napari_emcad.model.network import PvtEmcad
from napari_emcad.pipelines.segment import slices_for
from napari_emcad.plugin.layers.geometry import levels
from napari_emcad.plugin.stages.cache import RecentMaps
from napari_emcad.plugin.stages.map_layer import place_map
from napari_emcad.plugin.stages.request import StageChoices, StageRequest

STRIDE = 4 / 1.5
"""Image pixels per map pixel of stage 1; the bundled model enlarges images."""

FEW = StageChoices(stages=(4, 1), kinds=("probability",))


def click(qtbot, panel):
    panel.stages.controller.show()  # or wait for it
    qtbot.mouseClick(panel.stages.panel._show, Qt.MouseButton.LeftButton)


@pytest.fixture
def wait_for_maps(finish, qtbot):
    """Return a function that waits for the job and its layers."""

    def wait_for_maps(panel):
        finish(panel)
        qtbot.waitUntil(lambda: not panel.stages.presenter._waiting, timeout=60_000)

    return wait_for_maps


@pytest.fixture
def gate(monkeypatch):
    """Return an event; the network waits until it is set."""
    opened, original = threading.Event(), PvtEmcad.forward_intermediates

    def forward_intermediates(self, x):
        assert opened.wait(60)
        return original(self, x)

    monkeypatch.setattr(PvtEmcad, "forward_intermediates", forward_intermediates)
    yield opened
    opened.set()


@pytest.fixture
def stack(viewer, dock, nuclei):
    """Return a panel on a stack that follows the slider, at slice 2."""
    slices = np.stack([np.roll(nuclei, 7 * z, 1) for z in range(6)])
    viewer.add_image(slices, name="stack", scale=(2, 0.5, 0.5), axis_labels=("z", "y", "x"))
    viewer.dims.set_current_step(0, 2)
    panel = dock(viewer)
    panel.stages.panel.set_value(FEW)
    panel.stages.panel._follow.setChecked(True)
    panel.stages.controller.show()
    return panel


def headless(image, checkpoint, **options):
    names = ["probability", "gate", "entropy", "disagreement", "decoder:4", "delta"]
    return stage_maps(image, checkpoint, names, device="cpu", **options)[0]


# -- alignment of maps


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
@settings(max_examples=40, deadline=None)
@given(placed_images(), st.sampled_from([0, 1]), st.sampled_from([4, 32, 21.3]), st.integers(0, 5))
def test_the_world_extent_of_a_map_is_exact(image, number, stride, z):
    level = levels(image)[number]
    height, width = level.array.shape[1:]
    shape = (-(-height // stride), -(-width // stride))
    values = np.zeros([int(side) for side in shape], np.float32)
    offset = ((stride - 1) / 2 + 3, (stride - 1) / 2)
    stage_map = StageMap(MapKey("gate", 1), values, (stride, stride), offset, (0.0, 1.0))
    data, transform = place_map(_request(image, level, z), stage_map)
    layer = Image(data, **transform)
    (top, bottom), (left, right) = stage_map.extent
    coarse = np.asarray(level.downsampling)
    for y, x in ((top, left), (top, right), (bottom, left), (bottom, right)):
        fine = np.array([z, y, x]) * coarse + (coarse - 1) / 2
        corner = np.array([0, 0 if y == top else shape[0], 0 if x == left else shape[1]]) - 0.5
        corner[0] = 0
        np.testing.assert_allclose(
            layer.data_to_world(corner), image.data_to_world(fine), rtol=0, atol=1e-6
        )
    assert [str(unit) for unit in layer.units] == [str(unit) for unit in image.units]
    assert tuple(layer.axis_labels) == tuple(image.axis_labels)


def _request(image, level, z):
    class HeldOutPredictions:
        class config:
            input_channels = 3

    slices = slices_for(level.array, HeldOutPredictions, "ZYX", None, Scope((z,)))
    unused = dict.fromkeys(("checkpoint", "settings"))
    return StageRequest(image, "image", "ZYX", level, slices, (), (), "", **unused)


def test_channels_between_slices_and_rows_keep_the_slices_in_place(
    viewer, dock, wait_for_maps, qtbot, nuclei
):
    """napari aligns axes from the last one, so a map needs a channel axis between others."""
    image = np.stack([np.stack([nuclei, nuclei // 2])] * 6)
    viewer.add_image(image, name="cells", axis_labels=("z", "c", "y", "x"), scale=(3, 1, 1, 1))
    viewer.dims.set_current_step(0, 4)
    panel = dock(viewer)
    panel.segment.panel._axes._channels[0].setCurrentIndex(1)
    panel.segment.panel._axes._channels[0].activated.emit(1)
    panel.stages.panel.set_value(FEW)
    click(qtbot, panel)
    wait_for_maps(panel)
    layer = maps(panel)["probability:1"]
    assert layer.data.shape == (1, 2, 36, 48)
    np.testing.assert_allclose(layer.translate, (12, 0, (STRIDE - 1) / 2, (STRIDE - 1) / 2))
    np.testing.assert_allclose(layer.scale, (3, 1, STRIDE, STRIDE))


# -- layers of maps


def test_maps_equal_those_of_the_python_function_at_their_own_resolution(
    panel, wait_for_maps, qtbot, nuclei
):
    panel.stages.panel.set_value(
        StageChoices((4, 3, 2, 1), ("probability", "gate", "entropy", "disagreement", "delta"))
    )
    click(qtbot, panel)
    wait_for_maps(panel)
    layers, expected = maps(panel), headless(nuclei, panel.session.checkpoint)
    assert layers.keys() == {name for name in expected if name != "decoder:4"}
    for name, layer in layers.items():
        np.testing.assert_allclose(layer.data, expected[name].values, atol=1e-5, err_msg=name)
        np.testing.assert_allclose(layer.scale, expected[name].factor)
        assert tuple(layer.contrast_limits) == expected[name].limits
    assert layers["gate:3"].name == "gate · stage 3 · nuclei"
    assert layers["entropy"].name == "entropy · nuclei"
    assert layers["delta:2"].colormap.name == "blue white red"
    assert "Computed in" in panel.job_bar.message
    assert [name for name, layer in layers.items() if layer.visible] == ["probability:1"]


def test_features_are_colors_or_channels_and_channel_attention_is_bars(panel, wait_for_maps, qtbot):
    stages = panel.stages.panel
    stages.set_value(StageChoices((4,), ("decoder", "channel")))
    click(qtbot, panel)
    wait_for_maps(panel)
    (layer,) = maps(panel).values()
    assert layer.rgb
    assert layer.data.shape == (5, 6, 3)
    assert stages.bars.titles == ("Stage 4",)
    assert stages.bars.isVisibleTo(stages)
    stages.set_value(StageChoices((4,), ("decoder",), channels=(0, 17)))
    click(qtbot, panel)
    wait_for_maps(panel)
    assert list(maps(panel)) == ["decoder:4:0", "decoder:4:17"]
    assert maps(panel)["decoder:4:17"].name == "decoder channel 17 · stage 4 · nuclei"
    assert not stages.bars.isVisibleTo(stages)


def test_show_updates_existing_map_layers(panel, wait_for_maps, qtbot, nuclei):
    panel.stages.panel.set_value(FEW)
    click(qtbot, panel)
    wait_for_maps(panel)
    before = maps(panel)
    before["probability:4"].colormap = "magma"
    duplicate = Image(before["probability:1"].data.copy(), metadata={}, name="mine")
    panel.viewer.add_layer(duplicate)
    data_before = duplicate.data.copy()
    image = panel.viewer.layers["nuclei"]
    image.data, image.scale = 200 - nuclei[::-1], (0.5, 0.5)
    panel.context.image_input.set_layer(image)
    click(qtbot, panel)
    wait_for_maps(panel)
    after = maps(panel)
    assert all(after[name] is before[name] for name in before)
    assert after["probability:4"].colormap.name == "magma"
    np.testing.assert_allclose(after["probability:1"].scale, (STRIDE / 2, STRIDE / 2))
    assert not np.array_equal(after["probability:1"].data, data_before)
    np.testing.assert_array_equal(duplicate.data, data_before)


def test_maps_keep_the_selection_and_are_not_listed_as_images(panel, wait_for_maps, qtbot):
    labels = panel.viewer.add_labels(np.zeros((96, 128), np.uint8), name="paint")
    panel.stages.panel.set_value(FEW)
    click(qtbot, panel)
    wait_for_maps(panel)
    assert panel.viewer.layers.selection.active is labels
    names = [layer.name for layer in panel.viewer.layers]
    assert names == [
        "nuclei",
        "probability · stage 4 · nuclei",
        "probability · stage 1 · nuclei",
        "paint",
    ]
    for combo in (panel.stages.panel._image, panel.segment.panel._image):
        assert [choice.name for choice in combo._box.choices] == ["nuclei"]


@pytest.mark.slow
def test_side_by_side_makes_rows_of_stages_and_restores_the_grid(panel, wait_for_maps, qtbot):
    kinds = ("probability", "gate", "delta", "entropy", "disagreement")
    panel.stages.panel.set_value(StageChoices((4, 3, 2, 1), kinds))
    click(qtbot, panel)
    wait_for_maps(panel)
    grid, layers = panel.viewer.canvas.grid, panel.viewer.layers
    before = (grid.enabled, grid.shape, grid.stride)
    qtbot.mouseClick(panel.stages.panel._side_by_side, Qt.MouseButton.LeftButton)
    assert grid.enabled
    assert all(layer.visible for layer in maps(panel).values())
    positions = {layer.name: grid.position(n, layers) for n, layer in enumerate(layers)}
    assert positions["nuclei"] == (0, 0)
    for n in (3, 2, 1):
        assert positions[f"gate · stage {n} · nuclei"][1] == 4 - n
        assert positions[f"change of probability · stage {n} · nuclei"][1] == 4 - n
        assert positions[f"probability · stage {n} · nuclei"][1] == 4 - n
    qtbot.mouseClick(panel.stages.panel._remove, Qt.MouseButton.LeftButton)
    assert (grid.enabled, grid.shape, grid.stride) == before
    qtbot.waitUntil(lambda: [layer.name for layer in layers] == ["nuclei"], timeout=60_000)


@pytest.mark.slow
@pytest.mark.parametrize("frozen_by_others", [True, False])
def test_maps_are_removed_one_by_one(panel, wait_for_maps, qtbot, frozen_by_others):
    """Removing many layers of a grid at once crashes some OpenGL drivers."""
    gc.unfreeze()
    if frozen_by_others:
        gc.freeze()
    panel.stages.panel.set_value(StageChoices((4, 3, 2, 1), ("probability", "gate")))
    click(qtbot, panel)
    wait_for_maps(panel)
    layers, grid = panel.viewer.layers, panel.viewer.canvas.grid
    qtbot.mouseClick(panel.stages.panel._side_by_side, Qt.MouseButton.LeftButton)
    counts, frozen = [len(layers)], []
    layers.events.removed.connect(lambda _: counts.append(len(layers)))
    layers.events.removed.connect(lambda _: frozen.append(gc.get_freeze_count() > 0))
    panel.stages.panel.set_value(StageChoices((1,), ("probability",)))
    click(qtbot, panel)
    wait_for_maps(panel)
    assert len(layers) > 2
    assert not grid.enabled
    panel.stages.panel.set_value(FEW)
    click(qtbot, panel)  # layers that are being removed do not count as shown
    wait_for_maps(panel)
    qtbot.waitUntil(lambda: grid.enabled, timeout=60_000)
    assert len(layers) == 3
    assert panel.stages.controller._layers.is_grid
    assert all(frozen)
    assert (gc.get_freeze_count() > 0) == frozen_by_others
    gc.freeze()  # as all tests of the window, see the fixture frozen_heap


def test_the_grid_button_of_napari_is_followed(panel, wait_for_maps, qtbot):
    panel.stages.panel.set_value(FEW)
    click(qtbot, panel)
    wait_for_maps(panel)
    grid, button = panel.viewer.canvas.grid, panel.stages.panel._side_by_side
    before = grid.stride, grid.shape, grid.spacing
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    grid.enabled = False
    qtbot.waitUntil(lambda: not button.isChecked(), timeout=60_000)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert grid.enabled
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert (grid.stride, grid.shape, grid.spacing) == before
    assert not grid.enabled


def test_maps_follow_the_name_of_their_image(panel, wait_for_maps, qtbot):
    panel.stages.panel.set_value(FEW)
    click(qtbot, panel)
    wait_for_maps(panel)
    first, second = maps(panel).values()
    first.name = "mine"
    panel.viewer.layers["nuclei"].name = "of\nlines"
    click(qtbot, panel)
    wait_for_maps(panel)
    assert first.name == "mine"
    assert " · of lines" in second.name


def test_bars_alone_can_be_removed(panel, wait_for_maps, qtbot):
    panel.stages.panel.set_value(StageChoices((4, 1), ("channel",)))
    click(qtbot, panel)
    wait_for_maps(panel)
    panel.stages.controller.show()
    assert panel.stages.panel._remove.isEnabled()
    qtbot.mouseClick(panel.stages.panel._remove, Qt.MouseButton.LeftButton)
    assert not panel.stages.panel._remove.isEnabled()
    assert panel.stages.presenter.request is None


# -- changes of the image and the view


def test_other_image_data_are_reported_and_the_readout_is_cleared(panel, wait_for_maps, qtbot):
    panel.stages.panel.set_value(FEW)
    click(qtbot, panel)
    wait_for_maps(panel)
    image = panel.viewer.layers["nuclei"]
    panel.stages.cursor._position = (25.0, 54.0)
    panel.stages.cursor.show()
    assert panel.stages.panel.readout.values
    image.data = np.zeros_like(image.data)
    assert "image has changed" in panel.stages.panel._status.text()
    assert not panel.stages.panel.readout.values
    click(qtbot, panel)
    wait_for_maps(panel)
    assert not panel.stages.panel._status.text()
    image.data = np.zeros((3, 40, 50), np.uint8)
    assert "image has changed" in panel.stages.panel._status.text()


def test_the_readout_of_a_resting_cursor_follows_the_slider(stack, wait_for_maps, qtbot):
    click(qtbot, stack)
    wait_for_maps(stack)
    stack.stages.cursor._position = (4.0, 25 * 0.5, 54 * 0.5)
    stack.stages.cursor.show()
    assert stack.stages.panel.readout.values
    stack.viewer.dims.set_current_step(0, 0)
    assert not stack.stages.panel.readout.values
    click(qtbot, stack)
    wait_for_maps(stack)
    values = stack.stages.presenter.maps[MapKey("probability", 1)].values
    assert stack.stages.panel.readout.values[1] == pytest.approx(
        values[int(25.5 / STRIDE), int(54.5 / STRIDE)]
    )


def test_an_image_outside_the_canvas_has_no_visible_part(panel, wait_for_maps, qtbot):
    scope = panel.stages.panel._scope
    scope.setCurrentIndex(scope.findData("view"))
    panel.viewer.layers["nuclei"].corner_pixels = np.array([[95, 127], [95, 127]])
    panel.viewer.scene.camera.center = (0.0, 5000.0, 5000.0)
    panel.stages.controller.show()
    assert not panel.stages.panel._show.isEnabled()
    assert "Nothing of the image is on screen" in panel.stages.panel._reason.text()


# -- stacks


def test_maps_follow_the_slider_and_come_from_the_cache(stack, wait_for_maps, qtbot, monkeypatch):
    click(qtbot, stack)
    wait_for_maps(stack)
    layer, calls, original = maps(stack)["probability:1"], [], PvtEmcad.forward_intermediates
    np.testing.assert_allclose(layer.translate, (4, (STRIDE - 1) / 4, (STRIDE - 1) / 4))
    first = layer.data.copy()

    def forward_intermediates(self, x):
        calls.append(1)
        return original(self, x)

    monkeypatch.setattr(PvtEmcad, "forward_intermediates", forward_intermediates)
    stack.viewer.dims.set_current_step(0, 5)
    qtbot.waitUntil(lambda: layer.translate[0] == 10, timeout=60_000)
    expected = stage_maps(
        stack.viewer.layers["stack"].data, stack.session.checkpoint, ["probability:1"], "ZYX", "cpu"
    )[5]
    np.testing.assert_allclose(layer.data[0], expected["probability:1"].values, atol=1e-5)
    assert "z 5" in stack.stages.panel._status.text()
    wait_for_maps(stack)
    count = len(calls)
    stack.viewer.dims.set_current_step(0, 2)
    qtbot.waitUntil(lambda: layer.translate[0] == 4, timeout=60_000)
    wait_for_maps(stack)
    assert len(calls) == count
    np.testing.assert_array_equal(layer.data, first)


def test_late_results_are_dropped(stack, wait_for_maps, qtbot, gate):
    """H8: maps are shown for the slice that is visible when they arrive."""
    gate.set()
    click(qtbot, stack)
    wait_for_maps(stack)
    layer, positions = maps(stack)["probability:1"], []
    layer.events.translate.connect(lambda: positions.append(layer.translate[0]))
    gate.clear()
    stack.viewer.dims.set_current_step(0, 3)
    qtbot.waitUntil(lambda: stack.runner.running, timeout=60_000)
    stack.viewer.dims.set_current_step(0, 5)
    qtbot.wait(300)
    gate.set()
    qtbot.waitUntil(lambda: layer.translate[0] == 10, timeout=60_000)
    wait_for_maps(stack)
    assert set(positions) == {10}


def test_the_window_stays_responsive_while_following(stack, wait_for_maps, qtbot, monkeypatch):
    """H3: events are handled while the maps of the next slice are computed."""
    click(qtbot, stack)
    wait_for_maps(stack)
    alive, original = [], PvtEmcad.forward_intermediates
    computing, handled = threading.Event(), threading.Event()

    def forward_intermediates(self, x):
        computing.set()
        alive.append(handled.wait(60))
        return original(self, x)

    monkeypatch.setattr(PvtEmcad, "forward_intermediates", forward_intermediates)
    layer, timer = maps(stack)["probability:1"], QTimer()
    timer.timeout.connect(lambda: handled.set() if computing.is_set() else None)
    timer.start(2)
    for z in (3, 4):
        computing.clear()
        handled.clear()
        stack.viewer.dims.set_current_step(0, z)
        qtbot.waitUntil(lambda z=z: layer.translate[0] == 2 * z, timeout=90_000)
        wait_for_maps(stack)
    timer.stop()
    assert len(alive) >= 2
    assert all(alive)


def test_the_cache_drops_the_least_recently_used_slice():
    key, size = MapKey("gate", 1), 1000
    stage_map = StageMap(key, np.zeros((10, 25), np.float32), (4, 4), (1.5, 1.5), (0.0, 1.0))
    cache = RecentMaps(3 * size)
    for z in range(3):
        cache.put((z,), {key: stage_map})
    assert cache.get((0,))
    cache.put((3,), {key: stage_map})
    assert cache.get((1,)) is None
    assert cache.get((0,))
    assert (len(cache), cache.bytes) == (3, 3 * size)
    RecentMaps(size - 1).put((0,), {key: stage_map})


# -- the cursor


def test_the_readout_shows_all_stages_at_the_cursor(stack, wait_for_maps, qtbot):
    stack._tabs.setCurrentWidget(stack.stages.panel)
    click(qtbot, stack)
    wait_for_maps(stack)
    readout, maps = stack.stages.panel.readout, stack.stages.presenter.maps

    class Event:
        position = (4.0, 25 * 0.5, 54 * 0.5)

    stack.stages.panel.isVisible = lambda: True
    for callback in stack.viewer.mouse_move_callbacks:
        callback(stack.viewer, Event)
    expected = {}
    for n, times in {4: 8, 3: 4, 2: 2, 1: 1}.items():
        y, x = (int((pixel + 0.5) / (STRIDE * times)) for pixel in (25, 54))
        expected[n] = maps[MapKey("probability", n)].values[y, x]
    assert readout.values == pytest.approx(expected)
    for outside in ((4.0, -9.0, 0.0), (6.0, 12.0, 27.0)):
        Event.position = outside
        stack.stages.cursor._mouse_moved(stack.viewer, Event)
        assert readout.values == {}


# -- bad input


def test_show_is_disabled_with_a_reason(viewer, dock, qtbot, nuclei):
    panel = dock(viewer)
    stages_controller, stages = panel.stages.controller, panel.stages.panel
    stages_controller.show()
    assert stages._reason.text() == "Open an image first."
    viewer.add_image(np.stack([nuclei] * 3), name="three")
    stages_controller.show()
    assert panel.context.image_input.problem in stages._reason.text()
    viewer.layers.clear()
    viewer.add_image(nuclei)
    stages.set_value(StageChoices((), ()))
    stages_controller.show()
    assert stages._reason.text() == "Choose what to show."
    stages.set_value(StageChoices((1,), ("decoder",), channels=(4000,)))
    stages_controller.show()
    assert "There is no channel 4000" in stages._reason.text()
    stages._maps._channels.setText("three")
    stages_controller.show()
    assert "numbers" in stages._reason.text()
    assert not stages._show.isEnabled()
    panel.session._checkpoint = None
    stages_controller.compute()
    assert panel.job_bar.message == "Open a model first."


@pytest.mark.parametrize(
    "error",
    [RuntimeError("shapes"), torch.OutOfMemoryError("CUDA out of memory."), MemoryError()],
    ids=lambda error: type(error).__name__,
)
def test_an_error_enables_the_buttons_again(panel, wait_for_maps, qtbot, monkeypatch, error):
    """H1, H20."""
    panel.stages.panel.set_value(FEW)
    with monkeypatch.context() as broken:

        def forward_intermediates(*_):
            raise type(error)(*error.args)

        broken.setattr(PvtEmcad, "forward_intermediates", forward_intermediates)
        click(qtbot, panel)
        wait_for_maps(panel)
    assert panel.job_bar.message
    assert "Computed in" not in panel.job_bar.message
    assert maps(panel) == {}
    panel.stages.controller.show()
    assert panel.stages.panel._show.isEnabled()
    click(qtbot, panel)
    wait_for_maps(panel)
    assert len(maps(panel)) == 2


def test_stop_keeps_the_maps_and_ends_following(stack, wait_for_maps, qtbot, gate):
    stack.segment.panel._advanced._tile.setValue(64)
    gate.set()
    click(qtbot, stack)
    wait_for_maps(stack)
    gate.clear()
    stack.viewer.dims.set_current_step(0, 4)
    qtbot.waitUntil(lambda: stack.runner.running, timeout=60_000)
    stack.runner.stop()
    gate.set()
    wait_for_maps(stack)
    qtbot.wait(300)
    assert not stack.stages.panel.following
    assert not stack.runner.running
    assert maps(stack)["probability:1"].translate[0] == 4


@pytest.mark.parametrize("what", ["deleted", "replaced"])
def test_maps_of_an_image_changed_during_the_job_are_dropped(
    panel, wait_for_maps, qtbot, gate, nuclei, what
):
    """H7."""
    click(qtbot, panel)
    image = panel.viewer.layers["nuclei"]
    if what == "deleted":
        panel.viewer.layers.remove(image)
    else:
        image.data = np.stack([nuclei] * 7)
    gate.set()
    wait_for_maps(panel)
    qtbot.wait(50)
    assert maps(panel) == {}
    assert "dropped" in panel.job_bar.message


def test_a_class_that_no_longer_exists_is_not_chosen(panel, wait_for_maps, qtbot):
    from napari_emcad.io.checkpoints.heads import with_class_names

    checkpoint = panel.session.checkpoint
    panel.session.open(with_class_names(checkpoint, ["nucleus", "cell"]))
    stages = panel.stages.panel
    titles = [stages._maps._class.itemText(n) for n in range(stages._maps._class.count())]
    assert titles == ["nucleus", "cell", "background"]
    stages.set_value(StageChoices((1,), ("probability",), part=2))
    click(qtbot, panel)
    wait_for_maps(panel)
    assert list(maps(panel)) == ["probability:1:2"]
    assert maps(panel)["probability:1:2"].name == "probability of cell · stage 1 · nuclei"
    panel.session.open(checkpoint)
    assert "The model has changed" in stages._status.text()
    assert stages.value().part == 1
    click(qtbot, panel)
    wait_for_maps(panel)
    assert list(maps(panel)) == ["probability:1"]


def test_closing_the_dock_ends_a_running_job(panel, viewer, qtbot, gate):
    """H5: all callbacks are disconnected from the viewer."""
    click(qtbot, panel)
    thread = panel.runner._job.thread
    viewer.window.remove_dock_widget(panel.parent())
    assert panel.session.running is None
    assert viewer.mouse_move_callbacks == []
    gate.set()
    assert thread.wait(20)
    qtbot.wait(50)
    assert maps(panel) == {}


def test_maps_fit_color_pyramids_of_any_axis_order(viewer, dock, wait_for_maps, qtbot, nuclei):
    """RGB, a coarse level, columns before rows: maps are aligned with the image."""
    color = np.stack([nuclei] * 3, -1)
    rgb = viewer.add_image([color, color[::2, ::2]], multiscale=True, name="pyramid", rgb=True)
    panel = dock(viewer)
    panel.segment.panel._level.setCurrentIndex(1)
    panel.stages.panel.set_value(FEW)
    click(qtbot, panel)
    wait_for_maps(panel)
    layer = maps(panel)["probability:1"]
    np.testing.assert_allclose(layer.scale, 2 * STRIDE)
    np.testing.assert_allclose(layer.translate, STRIDE - 0.5)
    viewer.layers.remove(rgb)
    panel.stages.controller.remove_all()
    viewer.add_image(np.stack([nuclei.T] * 5, 1), name="odd", axis_labels=("x", "z", "y"))
    for box, role in zip(panel.segment.panel._axes._roles, "XSY", strict=True):
        box.setCurrentIndex(box.findData(role))
    panel.segment.panel._axes._roles[0].activated.emit(0)
    viewer.dims.order = (1, 0, 2)
    viewer.dims.set_point(1, 3)
    click(qtbot, panel)
    wait_for_maps(panel)
    odd = maps(panel)["probability:1"]
    assert odd.data.shape == (48, 1, 36)
    expected = stage_maps(
        np.stack([nuclei.T] * 5, 1), panel.session.checkpoint, "probability:1", "XZY"
    )
    z = odd.metadata["napari-emcad"]["slice"]
    np.testing.assert_allclose(odd.data[:, 0], expected[z]["probability:1"].values, atol=1e-5)
    np.testing.assert_allclose(odd.translate, ((STRIDE - 1) / 2, *z, (STRIDE - 1) / 2))


# -- the network in memory


def networks():
    """Return the networks in memory; windows of other tests may have some."""
    gc.collect()
    return {id(obj) for obj in gc.get_objects() if type(obj) is PvtEmcad}


@pytest.mark.parametrize("ending", ["stopped", "failed", "switched off"])
def test_the_network_is_freed_when_following_ends(stack, wait_for_maps, qtbot, monkeypatch, ending):
    """H15: the network is kept while following, but not after Stop or an error."""
    before, original = networks(), PvtEmcad.forward_intermediates
    click(qtbot, stack)
    wait_for_maps(stack)
    assert len(networks() - before) == 1

    def forward_intermediates(self, x):
        if ending == "failed":
            raise RuntimeError("shapes")
        if ending == "stopped":
            stack.runner.stop()
        else:
            stack.stages.panel.stop_following()
        return original(self, x)

    stack.segment.panel._advanced._tile.setValue(64)
    monkeypatch.setattr(PvtEmcad, "forward_intermediates", forward_intermediates)
    stack.viewer.dims.set_current_step(0, 4)
    qtbot.waitUntil(lambda: not stack.stages.panel.following, timeout=60_000)
    wait_for_maps(stack)
    assert networks() <= before


def test_the_network_is_freed_when_following_is_switched_off_between_slices(
    stack, wait_for_maps, qtbot
):
    before = networks()
    click(qtbot, stack)
    wait_for_maps(stack)
    assert len(networks() - before) == 1
    stack.stages.panel._follow.setChecked(False)
    qtbot.waitUntil(lambda: networks() <= before, timeout=60_000)


def test_maps_have_titles_on_the_canvas(panel, wait_for_maps, qtbot):
    """The title says what the map is before it says of which image, as its end may be cut off."""
    panel.stages.panel.set_value(FEW)
    click(qtbot, panel)
    wait_for_maps(panel)
    for layer in maps(panel).values():
        assert layer.name_overlay.visible
        assert layer.name.startswith("probability · stage")
