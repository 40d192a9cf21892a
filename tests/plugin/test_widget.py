"""The panel in a real viewer, operated as by a user."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt

import napari_emcad


def click(qtbot, panel):
    qtbot.mouseClick(panel.segment.panel._run, Qt.MouseButton.LeftButton)


def choose(box, data):
    box.setCurrentIndex(box.findData(data))
    box.activated.emit(box.currentIndex())


def results(panel):
    return [layer for layer in panel.viewer.layers if layer._type_string == "labels"]


def test_run_equals_the_python_function(panel, finish, qtbot, nuclei):
    click(qtbot, panel)
    finish(panel)
    expected = napari_emcad.segment(nuclei, napari_emcad.bundled_checkpoint(), device="cpu")
    (layer,) = results(panel)
    assert layer.data.dtype == np.uint8
    assert expected.labels.any()
    np.testing.assert_array_equal(layer.data, expected.labels)
    assert layer.editable
    assert list(layer.features["class"]) == ["background", "nucleus"]
    assert "Segmented in" in panel.job_bar.message


def test_run_is_disabled_with_a_reason_until_an_image_is_open(viewer, dock, nuclei):
    panel = dock(viewer)
    assert not panel.segment.panel._run.isEnabled()
    assert panel.segment.panel._reason.text() == "Open an image first."
    viewer.add_image(nuclei)
    assert panel.segment.panel._run.isEnabled()
    viewer.layers.clear()
    assert panel.segment.panel._reason.text() == "Open an image first."


def test_ambiguous_axes_disable_run_until_they_are_chosen(viewer, dock):
    """H21: three planes may be slices or channels; the panel does not guess."""
    panel = dock(viewer)
    viewer.add_image(np.zeros((3, 40, 40)), contrast_limits=(0, 1))
    assert not panel.segment.panel._run.isEnabled()
    assert "slices or channels" in panel.segment.panel._reason.text()


@pytest.mark.parametrize("shape", [(64, 64, 2), (128, 128, 5), (24, 40, 48, 2), (64, 64, 1)])
def test_a_small_last_axis_is_asked_about_as_in_the_terminal(shape, viewer, dock, finish, qtbot):
    panel = dock(viewer)
    layer = viewer.add_image(np.random.default_rng(0).random(shape), name="a")
    assert not panel.segment.panel._run.isEnabled()
    assert f"axis -1 ({shape[-1]}) is columns or channels" in panel.segment.panel._reason.text()
    form = panel.segment.panel._axes
    choose(form._roles[-1], "C")
    for box in form._channels[:1]:
        choose(box, 0)
    assert "roll the axes back, or choose “Whole layer”" in panel.segment.panel._reason.text()
    choose(panel.segment.panel._scope, "layer")
    click(qtbot, panel)
    finish(panel)
    (result,) = results(panel)
    assert result.data.shape == shape  # it lies on the axes of the image, for every channel
    np.testing.assert_array_equal(result.data, np.broadcast_to(result.data[..., :1], shape))
    assert form.axes.endswith("YXC")
    names = ("b", "z", "y", "x")[-len(shape) :]
    viewer.layers.remove(layer)
    viewer.add_image(np.random.default_rng(0).random(shape), axis_labels=names)
    assert "columns or channels" not in panel.segment.panel._reason.text()


def test_running_again_updates_the_layer(panel, finish, qtbot):
    for _ in range(3):
        click(qtbot, panel)
        finish(panel)
    assert len(results(panel)) == 1


def test_an_edited_result_is_not_overwritten(panel, finish, qtbot):
    click(qtbot, panel)
    finish(panel)
    (first,) = results(panel)
    first.paint((10, 10), 1)
    edited = first.data.copy()
    click(qtbot, panel)
    finish(panel)
    assert len(results(panel)) == 2
    np.testing.assert_array_equal(first.data, edited)


def test_new_layer_adds_a_second_result(panel, finish, qtbot):
    click(qtbot, panel)
    finish(panel)
    panel.segment.panel._new_layer.setChecked(True)
    click(qtbot, panel)
    finish(panel)
    assert len(results(panel)) == 2


def test_undo_does_not_restore_an_old_result(panel, finish, qtbot):
    """H10: Ctrl+Z after a second run does not restore pixels of the first run."""
    for _ in range(2):
        click(qtbot, panel)
        finish(panel)
    (layer,) = results(panel)
    before = layer.data.copy()
    layer.undo()
    np.testing.assert_array_equal(layer.data, before)


def test_one_slice_and_then_the_whole_stack(viewer, dock, finish, qtbot, nuclei):
    stack = np.stack([nuclei, nuclei[::-1], nuclei[:, ::-1], nuclei, nuclei // 2])
    viewer.add_image(stack, name="stack")
    panel = dock(viewer)
    assert panel.context.image_input.options.scope == "slice"
    viewer.dims.set_current_step(0, 2)
    click(qtbot, panel)
    finish(panel)
    (layer,) = results(panel)
    assert layer.data.shape == stack.shape
    assert layer.data[2].any()
    assert not layer.data[[0, 1, 3, 4]].any()
    scope = panel.segment.panel._scope
    scope.setCurrentIndex(scope.findData("layer"))
    click(qtbot, panel)
    finish(panel)
    assert len(results(panel)) == 1
    expected = napari_emcad.segment(stack, napari_emcad.bundled_checkpoint(), device="cpu")
    np.testing.assert_array_equal(layer.data, expected.labels)


def test_channels_are_mapped(viewer, dock, finish, qtbot, nuclei):
    image = np.stack([nuclei, nuclei // 3])
    layer = viewer.add_image(image, axis_labels=("c", "y", "x"))
    panel = dock(viewer)
    axes = panel.segment.panel._axes
    assert "Choose which channel" in panel.segment.panel._reason.text()
    for combo, value in zip(axes._channels, (0, 1, -1), strict=True):
        combo.setCurrentIndex(combo.findData(value))
        combo.activated.emit(combo.currentIndex())
    assert panel.segment.panel._run.isEnabled()
    click(qtbot, panel)
    finish(panel)
    (result,) = results(panel)
    expected = napari_emcad.segment(
        image, napari_emcad.bundled_checkpoint(), "CYX", "cpu", channels=(0, 1, None)
    )
    np.testing.assert_array_equal(result.data, expected.labels)
    assert result.ndim == layer.ndim - 1


def test_a_coarse_level_of_an_rgb_pyramid(viewer, dock, finish, qtbot, nuclei):
    """H22: the color axis of an RGB layer is not a dimension."""
    color = np.repeat(np.repeat(np.repeat(nuclei, 2, 0), 2, 1)[..., None], 3, 2)
    pyramid = [color, color[::2, ::2]]
    viewer.add_image(pyramid, multiscale=True, rgb=True, scale=(0.5, 0.5))
    panel = dock(viewer)
    panel.segment.panel._level.setCurrentIndex(1)
    click(qtbot, panel)
    finish(panel)
    (layer,) = results(panel)
    assert layer.data.shape == nuclei.shape
    np.testing.assert_allclose(layer.scale, (1, 1))
    np.testing.assert_allclose(layer.translate, (0.25, 0.25))


def test_the_visible_part_is_segmented(make_napari_viewer, dock, finish, qtbot, nuclei):
    viewer = make_napari_viewer(show=True)
    viewer.add_image(np.tile(nuclei, (6, 6)))
    panel = dock(viewer)
    viewer.scene.camera.zoom = 8
    viewer.scene.camera.center = (300, 300)
    scope = panel.segment.panel._scope
    scope.setCurrentIndex(scope.findData("view"))
    qtbot.wait(300)
    click(qtbot, panel)
    finish(panel)
    (layer,) = results(panel)
    rows, columns = np.nonzero(layer.data)
    assert len(rows)
    assert rows.min() > 200
    assert rows.max() < 400
    assert columns.min() > 200
    assert columns.max() < 400


def test_objects_are_numbered_and_probabilities_are_a_layer(panel, finish, qtbot):
    panel.segment.panel._separate.setChecked(True)
    panel.segment.panel._advanced._probabilities.setChecked(True)
    click(qtbot, panel)
    finish(panel)
    (layer,) = results(panel)
    count = layer.data.max()
    assert count >= 2
    assert layer.data.dtype == np.uint16
    assert len(layer.features) == count + 1
    probabilities = [layer for layer in panel.viewer.layers if "probability" in layer.name]
    assert len(probabilities) == 1
    assert 0 < probabilities[0].data.max() <= 1


def test_class_names_and_overrides_reach_the_next_run(panel, finish, qtbot):
    panel.model.controller.override({"classes": ["cell"], "head": "sum"})
    assert panel.session.checkpoint.head == "sum"
    click(qtbot, panel)
    finish(panel)
    (layer,) = results(panel)
    assert list(layer.features["class"])[1] == "cell"
    before = panel.session.checkpoint
    panel.model.controller.override({"low": 99.9})
    assert panel.session.checkpoint is before
    assert "must be below" in panel.job_bar.message


def test_an_opened_file_is_listed_among_the_recent_files(panel, finish, tmp_path):
    path = tmp_path / "mine.safetensors"
    panel.model.controller.save_file(path)
    finish(panel)
    assert path.exists()
    panel.model.controller.open_file(path)
    finish(panel)
    assert panel.session.checkpoint.origin.path == str(path)
    choices = panel.model.panel._choice
    assert choices.currentText() == "mine.safetensors"
    panel.model.controller.open_bundled()
    finish(panel)
    assert choices.currentIndex() == 0


def test_an_unreadable_file_is_reported_and_the_model_stays_open(panel, finish, tmp_path):
    path = tmp_path / "notes.pth"
    path.write_text("hello")
    before = panel.session.checkpoint
    panel.model.controller.open_file(path)
    finish(panel)
    assert "notes.pth cannot be opened as a checkpoint: it is a text file" in panel.job_bar.message
    assert panel.session.checkpoint is before
    assert panel.segment.panel._run.isEnabled()


def test_one_panel_and_one_session_per_viewer(panel, viewer):
    """Menu, plugin API and reader all lead to the same dock."""
    from napari_emcad.plugin.widget import session_of, show_panel

    assert show_panel(viewer) is panel
    assert session_of(viewer) is panel.session


def test_reopening_the_dock_keeps_the_model(panel, viewer, dock, finish, qtbot):
    panel.model.controller.override({"classes": ["cell"]})
    viewer.window.remove_dock_widget(panel.parent())
    again = dock(viewer)
    assert again is not panel
    assert again.session.checkpoint.classes[0].name == "cell"
    click(qtbot, again)
    finish(again)
    assert len(results(again)) == 1
