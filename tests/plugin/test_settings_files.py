"""Files of settings are saved and configured on the Segment tab, and used in the terminal."""

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
    configured, qtbot, finish, through_buttons, tmp_path
):
    path = tmp_path / "settings.toml"
    through_buttons(configured, "Save settings …", path)
    output = tmp_path / "labels.tif"
    assert (
        main(
            [
                "segment",
                str(tmp_path / "my stack.tif"),
                "--settings",
                str(path),
                "--output",
                str(output),
            ]
        )
        == 0
    )
    press(qtbot, configured.segment.panel._run)
    finish(configured)
    [layer] = [layer for layer in configured.viewer.layers if isinstance(layer, Labels)]
    np.testing.assert_array_equal(tifffile.imread(output), layer.data)


def test_what_was_saved_is_shown_again(configured, through_buttons, tmp_path):
    path = tmp_path / "settings.toml"
    through_buttons(configured, "Save settings …", path)
    saved, overrides = configured.context.image_input.options, configured.session.overrides
    configured.session.revert()
    configured.segment.panel.set_settings(InferenceSettings())
    assert configured.context.image_input.options != saved
    through_buttons(configured, "Open settings …", path)
    assert configured.context.image_input.options == saved
    assert configured.session.overrides == overrides
    assert configured.runner.message == "Settings of settings.toml."


def test_another_model_is_opened(configured, through_buttons, tmp_path, two_classes):
    path = tmp_path / "settings.toml"
    path.write_text(f"[segment]\ncheckpoint = {str(two_classes)!r}\ntile = 96\n")
    through_buttons(configured, "Open settings …", path)
    assert configured.session.checkpoint.origin.path == str(two_classes)
    assert configured.session.overrides == {}
    assert configured.segment.panel.settings.tile == 96


def test_what_does_not_fit_is_named(configured, through_buttons, tmp_path):
    before = configured.context.image_input.options
    path = tmp_path / "settings.toml"
    path.write_text(
        "[segment]\naxes = 'YX'\nchannels = [1, 'none', 0]\nlevel = 3\ntile = 96\nformat = 'tif'\n"
    )
    through_buttons(configured, "Open settings …", path)
    assert "Not for this image: axes, channels, level." in configured.runner.message
    assert "Only for the terminal: format." in configured.runner.message
    assert configured.context.image_input.options.axes == before.axes
    assert configured.segment.panel.settings.tile == 96


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[segment", "is not a TOML file"),
        ("[train]\nepochs = 1\n", "follow a line [segment]"),
        ("[segment]\ntile = 3\n", "at least 32 pixels"),
        ("[segment]\nlevel = 'fine'\n", "level"),
        ("[segment]\nchannels = 'red'\n", "channels is 'red'"),
        ("[segment]\nset = 3\n", "set must be a table"),
        ("[segment]\ntyle = 64\n", "segment has no option tyle (did you mean tile?)."),
        (
            "[segment]\nmodel = 'a.pth'\nformt = 'tif'\n",
            "segment has no options model, formt (did you mean format?).",
        ),
        ("[segment]\ncheckpoint = 'none.safetensors'\n", "none.safetensors"),
        ("[segment.set]\nwidth = 3\n", "width"),
    ],
)
def test_bad_files_change_nothing(configured, through_buttons, tmp_path, text, message):
    path = tmp_path / "settings.toml"
    path.write_text(text)
    before = configured.context.image_input.options, configured.session.checkpoint
    through_buttons(configured, "Open settings …", path)
    assert message in configured.runner.message
    assert (configured.context.image_input.options, configured.session.checkpoint) == before


def test_without_an_image_nothing_is_written(panel, through_buttons, tmp_path):
    panel.viewer.layers.clear()
    through_buttons(panel, "Save settings …", tmp_path / "settings.toml")
    assert panel.runner.message == "Open an image first."
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named(configured, through_buttons, tmp_path):
    through_buttons(configured, "Save settings …", tmp_path / "none" / "settings.toml")
    assert "The settings were not saved" in configured.runner.message


def test_a_name_without_an_ending_gets_one(configured, through_buttons, tmp_path):
    through_buttons(configured, "Save settings …", tmp_path / "mine")
    assert read_settings(tmp_path / "mine.toml", "segment")["tile"] == 64


def test_options_and_calls_are_the_same():
    settings = InferenceSettings(device="cpu", full_precision=True, batch=3)
    call = SegmentCall("", "a.pth", {"low": 1}, "CYX", (2, None, 0), 1, settings)
    assert call_from_options(segment_options(call)) == (call, [])
    assert call_from_options({"channels": "2,none,0"})[0].channels == (2, None, 0)


def test_files_that_cannot_be_read_or_written_are_named(panel, tmp_path):
    gone = tmp_path / "gone.toml"
    panel.segment.panel.code.open_requested.emit(gone)
    assert panel.runner.message == f"{gone} cannot be read: No such file or directory."
    (tmp_path / "file").write_text("")
    below = tmp_path / "file" / "settings.toml"
    panel.segment.panel.code.save_requested.emit(below)
    assert panel.runner.message.startswith(f"The settings were not saved in {below}: ")
    assert "Errno" not in panel.runner.message
