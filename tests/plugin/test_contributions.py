"""Contributions to napari: menus, command palette, reader, sample data and settings."""

from __future__ import annotations

import numpy as np
import pytest
from napari._app_model import get_app_model
from napari.settings import get_plugin_settings

import napari_emcad
from napari_emcad.plugin.widget import EmcadWidget, session_of


def panels(viewer):
    return [
        dock.inner_widget()
        for dock in viewer.window._wrapped_dock_widgets.values()
        if isinstance(dock.inner_widget(), EmcadWidget)
    ]


def test_layers_segment_has_the_panel_and_a_second_click_hides_it(viewer, qtbot):
    app = get_app_model()
    items = app.menus.get_menu("napari/layers/segment")
    (command,) = {item.command.id for item in items if "emcad" in item.command.id}
    app.commands.execute_command(command).result()
    (panel,) = panels(viewer)
    assert session_of(viewer) is panel.session
    app.commands.execute_command(command).result()
    assert len(panels(viewer)) <= 1
    qtbot.waitUntil(lambda: not panel.runner.running, timeout=60_000)


def test_the_plugin_is_in_the_menu_and_the_command_palette(viewer):
    app = get_app_model()
    titles = [command.title for _, command in app.commands]
    assert any("EMCAD" in title for title in titles)


def test_dropping_a_checkpoint_opens_it_in_the_panel(viewer, finish, qtbot, tmp_path):
    path = tmp_path / "mine.safetensors"
    napari_emcad.write_checkpoint(napari_emcad.bundled_checkpoint().override(title="Mine"), path)
    viewer.open(path, plugin=None)
    (panel,) = panels(viewer)
    qtbot.waitUntil(
        lambda: panel.session.checkpoint is not None and panel.session.checkpoint.title == "Mine",
        timeout=60_000,
    )
    finish(panel)
    assert not viewer.layers


@pytest.mark.parametrize("key", ["nuclei_dark", "nuclei_colour", "nuclei_bright"])
def test_samples_open(viewer, key):
    (layer,) = viewer.open_sample("napari-emcad", key)
    assert layer.name == key
    assert layer.rgb == (key == "nuclei_colour")


def test_plugin_settings_apply_to_a_new_panel(viewer, dock):
    settings = get_plugin_settings("napari-emcad")
    before = settings.inference.tile, settings.inference.device
    settings.inference.tile, settings.inference.device = 1024, "cpu"
    try:
        panel = dock(viewer)
        assert panel.segment.panel._advanced.value().tile == 1024
        assert panel.segment.panel.device.currentData() == "cpu"
    finally:
        settings.inference.tile, settings.inference.device = before


def test_the_bundled_model_is_not_opened_if_disabled_in_the_settings(viewer, qtbot):
    from napari_emcad.plugin.widget import show_panel

    settings = get_plugin_settings("napari-emcad")
    settings.checkpoints.open_bundled = False
    try:
        panel = show_panel(viewer)
        qtbot.wait(200)
        assert panel.session.checkpoint is None
        viewer.add_image(np.zeros((40, 40)))
        assert panel.segment.panel._reason.text() == "Open a model first."
    finally:
        settings.checkpoints.open_bundled = True
