"""A project is saved, opened in another window, and trained from the terminal."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import tifffile
from driving import choose_quick_training, draw_strokes, press, wait_until_idle

from napari_emcad.cli import main
from napari_emcad.io.project_folder import read_project


@pytest.fixture
def painted(viewer, dock, nuclei, tmp_path, qtbot):
    """Return a panel with an annotated image from a file, and a trained model."""
    path = tmp_path / "data" / "nuclei.tif"
    path.parent.mkdir()
    tifffile.imwrite(path, nuclei)
    viewer.open(path, plugin="napari")
    panel = dock(viewer)
    panel._tabs.setCurrentWidget(panel.teach.panel)
    choose_quick_training(panel, steps=2)
    press(qtbot, panel.teach.panel._new)
    draw_strokes(panel, qtbot, count=3)
    press(qtbot, panel.teach.panel._train)
    wait_until_idle(panel, qtbot)
    return panel


def save(panel, qtbot, folder):
    panel.teach.panel.project.save_requested.emit(folder)
    wait_until_idle(panel, qtbot)


def forget_everything(panel, viewer, qtbot):
    """Remove layers, classes and model, as a new window would have none."""
    viewer.layers.clear()
    wait_until_idle(panel, qtbot)
    panel.model.controller.open_bundled()
    wait_until_idle(panel, qtbot)


def test_a_project_brings_image_strokes_versions_and_settings_back(
    painted, viewer, qtbot, tmp_path
):
    painted.segment.panel.clean_up._smallest.setValue(33)
    strokes = painted.teach.annotating.pair.labels.data.copy()
    trained = painted.session.versions.current.checkpoint
    count = len(painted.session.versions)
    save(painted, qtbot, tmp_path / "cells.emcad")
    assert painted.runner.message == f"Saved as {tmp_path / 'cells.emcad'}."
    forget_everything(painted, viewer, qtbot)
    painted.segment.panel.clean_up._smallest.setValue(0)
    before = len(painted.session.versions)

    painted.teach.panel.project.open_requested.emit(tmp_path / "cells.emcad")
    wait_until_idle(painted, qtbot)
    assert painted.runner.message == f"Opened {tmp_path / 'cells.emcad'}."
    assert [layer.name for layer in viewer.layers] == ["nuclei", "nuclei annotation"]
    pair = painted.teach.annotating.pair
    np.testing.assert_array_equal(pair.labels.data, strokes)
    wait_until_idle(painted, qtbot)  # the annotation that has appeared is scanned
    assert painted.session.project.record.pixel_counts[1] == (strokes == 1).sum()
    current = painted.session.versions.current
    assert len(painted.session.versions) == before + count
    assert current.how == "trained"
    for name, tensor in trained.tensors.items():
        np.testing.assert_array_equal(current.checkpoint.tensors[name], tensor)
    assert painted.context.image_input.options.settings.clean_up.smallest_object == 33


def test_a_project_moves_with_its_images(painted, viewer, qtbot, tmp_path):
    save(painted, qtbot, tmp_path / "data" / "cells.emcad")
    forget_everything(painted, viewer, qtbot)
    shutil.move(tmp_path / "data", tmp_path / "moved")
    painted.teach.panel.project.open_requested.emit(tmp_path / "moved" / "cells.emcad")
    wait_until_idle(painted, qtbot)
    assert viewer.layers["nuclei"].source.path == str(tmp_path / "moved" / "nuclei.tif")
    assert painted.teach.annotating.pair is not None


def test_an_image_without_a_file_and_a_missing_one_are_named(teach, viewer, qtbot, tmp_path):
    draw_strokes(teach, qtbot)
    save(teach, qtbot, tmp_path / "cells.emcad")
    assert "Save “nuclei” as well" in teach.runner.message
    forget_everything(teach, viewer, qtbot)
    teach.teach.panel.project.open_requested.emit(tmp_path / "cells.emcad")
    wait_until_idle(teach, qtbot)
    assert "No open image has the pixels" in teach.runner.message
    assert "nuclei annotation" in viewer.layers


def test_what_is_no_project_is_refused_in_words(teach, qtbot, tmp_path):
    teach.teach.panel.project.open_requested.emit(tmp_path)
    wait_until_idle(teach, qtbot)
    assert "is no project" in teach.runner.message


def test_the_terminal_learns_the_strokes_of_a_project(painted, qtbot, tmp_path, capsys):
    folder, output = tmp_path / "cells.emcad", tmp_path / "run"
    save(painted, qtbot, folder)
    options = ["--set", "crops_per_epoch=2", "--set", "batch=1", "--set", "crop=64"]
    assert main(["train", "--project", str(folder), "--output", str(output), *options]) == 0
    assert (output / "model.safetensors").is_file()
    assert "1 annotated image, classes nucleus" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--hold-out", "0.2"], "leave out --hold-out"),
        (["--resume"], "cannot be resumed"),
        (["data"], "leave out folder"),
    ],
)
def test_options_of_other_data_are_refused(painted, qtbot, tmp_path, capsys, options, message):
    folder = tmp_path / "cells.emcad"
    save(painted, qtbot, folder)
    arguments = ["train", "--project", str(folder), "--output", str(tmp_path / "run"), *options]
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_a_lost_image_is_named_in_the_terminal(painted, qtbot, tmp_path, capsys):
    folder = tmp_path / "cells.emcad"
    save(painted, qtbot, folder)
    (tmp_path / "data" / "nuclei.tif").unlink()
    assert main(["train", "--project", str(folder), "--output", str(tmp_path / "run")]) == 2
    assert "nuclei.tif of the annotation" in capsys.readouterr().err
    assert len(read_project(folder)[0].annotations) == 1
