"""Files of settings are saved and opened on the Segment tab, and used in the terminal."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from driving import press
from napari.layers import Labels
from qtpy.QtWidgets import QFileDialog, QPushButton

from napari_emcad.cli import main
from napari_emcad.inference.events import InferenceSettings
from napari_emcad.io.settings_file import read_settings
from napari_emcad.pipelines.as_code import SegmentCall, call_from_options, segment_options


@pytest.fixture
def stack(tmp_path, nuclei):
    """Return the path of a stack."""
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, np.stack([nuclei, nuclei[::-1]] * 3), metadata={"axes": "ZYX"})
    return path


@pytest.fixture
def opened(viewer, dock, stack):
    """Return the panel with a stack from a file, and settings that are not the defaults."""
    viewer.open(stack, plugin="napari")
    panel = dock(viewer)
    fields = panel.segment.panel
    fields._scope.setCurrentIndex(fields._scope.findData("layer"))
    fields._separate.setChecked(True)
    fields.clean_up._smallest.setValue(30)
    fields._advanced._tile.setValue(64)
    panel.session.override(intensity="percentile", low=2.0, high=98.0)
    return panel


@pytest.fixture
def through_buttons(qtbot, finish, monkeypatch):
    """Return a function that saves or opens a file with the button and the system's dialog."""

    def use(panel, title, path):
        for name in ("getSaveFileName", "getOpenFileName"):
            monkeypatch.setattr(QFileDialog, name, lambda *_: (str(path), ""))
        buttons = panel.segment.panel.findChildren(QPushButton)
        [button] = [one for one in buttons if one.text() == title]
        press(qtbot, button)
        if panel.session.running is not None:
            finish(panel)

    return use


def test_the_terminal_computes_the_same_labels(
    opened, stack, qtbot, finish, through_buttons, tmp_path
):
    path = tmp_path / "settings.toml"
    through_buttons(opened, "Save settings …", path)
    output = tmp_path / "labels.tif"
    assert main(["segment", str(stack), "--settings", str(path), "--output", str(output)]) == 0
    press(qtbot, opened.segment.panel._run)
    finish(opened)
    [layer] = [layer for layer in opened.viewer.layers if isinstance(layer, Labels)]
    np.testing.assert_array_equal(tifffile.imread(output), layer.data)


def test_what_was_saved_is_shown_again(opened, through_buttons, tmp_path):
    path = tmp_path / "settings.toml"
    through_buttons(opened, "Save settings …", path)
    saved, overrides = opened.context.image_input.options, opened.session.overrides
    opened.session.revert()
    opened.segment.panel.set_settings(InferenceSettings())
    assert opened.context.image_input.options != saved
    through_buttons(opened, "Open settings …", path)
    assert opened.context.image_input.options == saved
    assert opened.session.overrides == overrides
    assert opened.runner.message == "Settings of settings.toml."


def test_another_model_is_opened(opened, through_buttons, tmp_path, two_classes):
    path = tmp_path / "settings.toml"
    path.write_text(f"[segment]\ncheckpoint = {str(two_classes)!r}\ntile = 96\n")
    through_buttons(opened, "Open settings …", path)
    assert opened.session.checkpoint.origin.path == str(two_classes)
    assert opened.session.overrides == {}
    assert opened.segment.panel.settings.tile == 96


def test_what_does_not_fit_is_named(opened, through_buttons, tmp_path):
    before = opened.context.image_input.options
    path = tmp_path / "settings.toml"
    path.write_text(
        "[segment]\naxes = 'YX'\nchannels = [1, 'none', 0]\nlevel = 3\ntile = 96\nformat = 'tif'\n"
    )
    through_buttons(opened, "Open settings …", path)
    assert "Not for this image: axes, channels, level." in opened.runner.message
    assert "Only for the terminal: format." in opened.runner.message
    assert opened.context.image_input.options.axes == before.axes
    assert opened.segment.panel.settings.tile == 96


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[segment", "is not a TOML file"),
        ("[train]\nepochs = 1\n", "follow a line [segment]"),
        ("[segment]\ntile = 3\n", "at least 32 pixels"),
        ("[segment]\nlevel = 'fine'\n", "level"),
        ("[segment]\nchannels = 'red'\n", "channels is 'red'"),
        ("[segment]\nset = 3\n", "set must be a table"),
        ("[segment]\ncheckpoint = 'none.safetensors'\n", "none.safetensors"),
        ("[segment.set]\nwidth = 3\n", "width"),
    ],
)
def test_bad_files_change_nothing(opened, through_buttons, tmp_path, text, message):
    path = tmp_path / "settings.toml"
    path.write_text(text)
    before = opened.context.image_input.options, opened.session.checkpoint
    through_buttons(opened, "Open settings …", path)
    assert message in opened.runner.message
    assert (opened.context.image_input.options, opened.session.checkpoint) == before


def test_without_an_image_nothing_is_written(panel, through_buttons, tmp_path):
    panel.viewer.layers.clear()
    through_buttons(panel, "Save settings …", tmp_path / "settings.toml")
    assert panel.runner.message == "Open an image first."
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named(opened, through_buttons, tmp_path):
    through_buttons(opened, "Save settings …", tmp_path / "none" / "settings.toml")
    assert "The settings were not saved" in opened.runner.message


def test_a_name_without_an_ending_gets_one(opened, through_buttons, tmp_path):
    through_buttons(opened, "Save settings …", tmp_path / "mine")
    assert read_settings(tmp_path / "mine.toml", "segment")["tile"] == 64


def test_options_and_calls_are_the_same():
    settings = InferenceSettings(device="cpu", full_precision=True, batch=3)
    call = SegmentCall("", "a.pth", {"low": 1}, "CYX", (2, None, 0), 1, settings)
    assert call_from_options(segment_options(call)) == (call, [])
    assert call_from_options({"channels": "2,none,0"})[0].channels == (2, None, 0)
