"""Conventions of a well-behaved plugin: results, messages and files on the real panel."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from napari.layers import Image, Labels
from qtpy.QtCore import Qt

import napari_emcad
from napari_emcad.inference.devices import DeviceChoice
from napari_emcad.model.network import PvtEmcad
from napari_emcad.plugin.widget import show_panel


@pytest.fixture
def run(qtbot, finish):
    """Return a function that presses Segment and waits."""

    def run(panel):
        qtbot.mouseClick(panel.segment.panel._run, Qt.MouseButton.LeftButton)
        finish(panel)

    return run


def results(panel):
    return [layer for layer in panel.viewer.layers if isinstance(layer, Labels)]


def probability_layers(panel):
    return [layer for layer in panel.viewer.layers if "probability" in layer.name]


def choose_scope(panel, name):
    scope = panel.segment.panel._scope
    scope.setCurrentIndex(scope.findData(name))


def test_reverting_an_override_restores_the_checkpoint(panel):
    """Toggling the inputs must not leave other preprocessing behind."""
    before = panel.session.checkpoint
    panel.model.controller.override({"input_channels": 1})
    assert panel.session.checkpoint.preprocessing.size == (224, 224)
    assert "preprocessing" in panel.session.checkpoint.assumed
    panel.model.controller.override({"input_channels": 3})
    assert panel.session.checkpoint.preprocessing == before.preprocessing
    assert panel.session.checkpoint.assumed == before.assumed
    panel.model.controller.override({"head": "sum"})
    panel.model.panel._details._revert.click()
    assert panel.session.checkpoint is before


def test_objects_of_a_stack_are_counted_once_and_have_unique_numbers(viewer, dock, run, nuclei):
    viewer.add_image(np.stack([nuclei] * 5), name="stack", axis_labels=("z", "y", "x"))
    panel = dock(viewer)
    panel.segment.panel._separate.setChecked(True)
    choose_scope(panel, "slice")
    counts = []
    for _ in range(3):
        run(panel)
        counts.append(panel.job_bar.message.split(", ")[-1])
    assert len(set(counts)) == 1
    (layer,) = results(panel)
    count = len(np.unique(layer.data)) - 1
    assert counts[0] == f"{count} objects."
    assert len(layer.features) == count + 1
    assert set(layer.features["index"]) == set(np.unique(layer.data))
    choose_scope(panel, "layer")
    for _ in range(2):
        run(panel)
    per_slice = [set(np.unique(plane)) - {0} for plane in layer.data]
    assert sum(map(len, per_slice)) == len(set.union(*per_slice)) == 5 * count


def test_a_job_stopped_early_leaves_no_labels_of_the_previous_run(
    viewer, dock, run, nuclei, monkeypatch
):
    viewer.add_image(np.stack([nuclei] * 5), name="stack", axis_labels=("z", "y", "x"))
    panel = dock(viewer)
    panel.segment.panel._separate.setChecked(True)
    choose_scope(panel, "layer")
    panel.segment.panel._advanced._batch.setValue(1)
    run(panel)
    original = PvtEmcad.predict

    def predict(self, x, head="finest", zoom=1.0):
        panel.runner._job.thread.stop()
        return original(self, x, head, zoom)

    monkeypatch.setattr(PvtEmcad, "predict", predict)
    run(panel)
    (layer,) = results(panel)
    assert layer.data[0].any()
    assert not layer.data[1:].any()


def test_a_deleted_probability_layer_stays_deleted_and_an_old_one_is_unchanged(panel, run):
    keep = panel.segment.panel._advanced._probabilities
    keep.setChecked(True)
    run(panel)
    (old,) = probability_layers(panel)
    values = old.data.copy()
    keep.setChecked(False)
    panel.model.controller.override({"head": "sum"})
    run(panel)
    np.testing.assert_array_equal(old.data, values)
    panel.viewer.layers.remove(old)
    run(panel)
    assert probability_layers(panel) == []
    keep.setChecked(True)
    run(panel)
    (new,) = probability_layers(panel)
    assert new is not old


def test_a_failed_first_run_leaves_no_empty_layer(panel, run, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(PvtEmcad, "predict", lambda *_: 1 / 0)
        run(panel)
    assert results(panel) == []
    assert "ZeroDivisionError" in panel.job_bar.message
    run(panel)
    assert len(results(panel)) == 1


def test_a_missing_device_disables_the_button(panel):
    device = panel.segment.panel.device
    device.setCurrentIndex(device.findData("cuda"))
    device.show_choices((DeviceChoice("cuda", "CUDA", "no driver"), DeviceChoice("cpu", "CPU")))
    panel.segment.controller.show()
    assert not panel.segment.panel._run.isEnabled()
    assert "CUDA cannot be used: no driver." in panel.segment.panel._reason.text()


def test_the_same_layer_is_updated_after_the_dock_was_closed_and_opened(panel, viewer, dock, run):
    run(panel)
    viewer.window.remove_dock_widget(panel.parent())
    again = dock(viewer)
    run(again)
    assert len(results(again)) == 1


def test_replaced_data_updates_the_axes(panel, nuclei):
    layer = panel.viewer.layers["nuclei"]
    layer.data = np.stack([nuclei] * 7)
    axes = panel.segment.panel._axes
    assert [axis.size for axis in axes._axes] == [7, *nuclei.shape]
    assert panel.segment.panel._run.isEnabled()
    assert panel.context.image_input.options.scope == "slice"


def test_a_result_that_exceeds_memory_is_refused_before_the_job_starts(viewer, dock):
    panel = dock(viewer)
    huge = da.zeros((200_000, 30_000, 30_000), dtype=np.uint8, chunks=(1, 30_000, 30_000))
    layer = Image(huge[:, :64, :64], name="huge", contrast_limits=(0, 1))
    viewer.add_layer(layer)
    choose_scope(panel, "layer")
    assert panel.segment.panel._run.isEnabled()
    checkpoint = panel.session.checkpoint
    with pytest.raises(ValueError, match=r"would need 167,638 GiB, this computer has"):
        napari_emcad.segment(huge, checkpoint, axes="ZYX")


def test_a_long_layer_name_does_not_widen_the_panel(viewer, dock, run, nuclei):
    viewer.add_image(nuclei, name="20240501_experiment_mouse_03_cortex_DAPI_GFP_60x_" * 4)
    panel = dock(viewer)
    before = panel.minimumSizeHint().width()
    run(panel)
    panel.runner.show_message("x" * 300, error=True)
    assert panel.minimumSizeHint().width() <= before


def test_the_combo_box_shows_the_open_file(panel, finish, tmp_path, monkeypatch):
    choice = panel.model.panel._choice
    path = tmp_path / "mine.safetensors"
    napari_emcad.write_checkpoint(panel.session.checkpoint, path)
    monkeypatch.chdir(tmp_path)
    panel.model.controller.open_file(type(path)("mine.safetensors"))
    finish(panel)
    assert choice.currentText() == "mine.safetensors"
    (tmp_path / "bad.pth").write_text("no")
    panel.model.controller.open_file(tmp_path / "bad.pth")
    finish(panel)
    assert choice.currentText() == "mine.safetensors"
    path.unlink()
    panel.model.panel.show_checkpoint(panel.session.checkpoint)
    assert choice.currentText() == "mine.safetensors"


def test_a_file_dropped_first_is_opened_instead_of_the_bundled_model(viewer, finish, tmp_path):
    path = tmp_path / "mine.safetensors"
    napari_emcad.write_checkpoint(napari_emcad.bundled_checkpoint().override(title="Mine"), path)
    panel = show_panel(viewer)
    panel.model.controller.open_file(path)
    finish(panel)
    assert panel.session.checkpoint.title == "Mine"
    assert panel.job_bar.message == ""


def test_an_error_message_is_shown_beside_the_progress(panel, qtbot, finish, tmp_path, monkeypatch):
    calls, original = [], PvtEmcad.predict

    def predict(self, x, head="finest", zoom=1.0):
        calls.append(1)
        return original(self, x, head, zoom)

    monkeypatch.setattr(PvtEmcad, "predict", predict)
    qtbot.mouseClick(panel.segment.panel._run, Qt.MouseButton.LeftButton)
    panel.model.controller.open_file(tmp_path / "other.pth")
    assert "wait until it has ended" in panel.job_bar.message
    assert panel.job_bar.progress == "Segmenting nuclei …"
    assert not panel.model.panel._open.isEnabled()
    finish(panel)
    assert panel.model.panel._open.isEnabled()
    assert calls


def test_markup_in_a_title_is_shown_as_plain_text(panel):
    panel.session.open(panel.session.checkpoint.override(title="<b>T</b>", description="<i>d</i>"))
    assert panel._title.textFormat() == Qt.TextFormat.PlainText
    assert panel.model.panel._description.textFormat() == Qt.TextFormat.PlainText
