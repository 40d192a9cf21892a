"""What the Segment tab shows is copied as a command and as Python that give the same labels."""

from __future__ import annotations

import shlex

import numpy as np
import tifffile
from driving import press
from napari.layers import Labels
from qtpy.QtWidgets import QApplication, QPushButton

from napari_emcad.cli import main
from napari_emcad.inference.events import InferenceSettings
from napari_emcad.pipelines.as_code import SegmentCall, command_line, python_code


def copy(panel, qtbot, title):
    buttons = panel.segment.panel.findChildren(QPushButton)
    [button] = [one for one in buttons if one.text() == title]
    press(qtbot, button)
    return QApplication.clipboard().text()


def result(panel, qtbot, finish):
    press(qtbot, panel.segment.panel._run)
    finish(panel)
    [layer] = [layer for layer in panel.viewer.layers if isinstance(layer, Labels)]
    return layer.data


def test_the_command_gives_the_same_labels(configured, qtbot, finish, tmp_path):
    words = shlex.split(copy(configured, qtbot, "Copy command"))
    assert words[:2] == ["napari-emcad", "segment"]
    output = tmp_path / "labels.tif"
    assert main([*words[1:], "--output", str(output)]) == 0
    np.testing.assert_array_equal(tifffile.imread(output), result(configured, qtbot, finish))


def test_the_script_gives_the_same_labels(configured, qtbot, finish):
    script, names = copy(configured, qtbot, "Copy Python"), {}
    exec(compile(script, "script", "exec"), names)
    np.testing.assert_array_equal(names["result"].labels, result(configured, qtbot, finish))


def test_defaults_are_left_out():
    call = SegmentCall("a.tif")
    assert command_line(call) == "napari-emcad segment a.tif"
    assert "napari_emcad.segment(image, checkpoint)" in python_code(call)


def test_names_are_quoted_for_the_shell_and_for_python():
    call = SegmentCall("it's $HOME.tif", "m o.safetensors", {"classes": ("a b", "c;d")}, "YX")
    words = shlex.split(command_line(call))
    assert words[2:] == [
        "it's $HOME.tif",
        "--checkpoint",
        "m o.safetensors",
        "--axes",
        "YX",
        "--set",
        'classes=["a b", "c;d"]',
    ]
    compile(python_code(call), "script", "exec")


def test_channels_level_and_device_are_copied():
    settings = InferenceSettings(device="cpu", full_precision=True, batch=3)
    call = SegmentCall("a.tif", axes="CYX", channels=(2, None, 0), level=1, settings=settings)
    line = command_line(call)
    assert "--channels 2,none,0 --level 1 --device cpu --batch 3 --full-precision" in line
    assert "channels=(2, None, 0)" in python_code(call)
    assert "ReadOptions(level=1)" in python_code(call)


def test_what_has_no_file_is_named(panel, qtbot):
    assert "image.tif" in copy(panel, qtbot, "Copy command")
    assert "Save what it calls image.tif first" in panel.runner.message
    panel.viewer.layers.clear()
    copy(panel, qtbot, "Copy command")
    assert panel.runner.message == "Open an image first."
