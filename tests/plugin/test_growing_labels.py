"""The file of the chosen image is segmented into OME-Zarr, whose labels are shown as they grow."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
import tifffile
from napari.layers import Labels

import napari_emcad
from napari_emcad.plugin.segment import background_controller

zarr = pytest.importorskip("zarr")
pytestmark = pytest.mark.usefixtures("preferred_scheduler")


@pytest.fixture
def stack(tmp_path, nuclei):
    """Return the path of a stack of six slices."""
    path = tmp_path / "stack.tif"
    slices = np.stack([np.roll(nuclei, 11 * n, 1) for n in range(6)])
    tifffile.imwrite(path, slices, metadata={"axes": "ZYX"})
    return path


@pytest.fixture
def opened(viewer, dock, stack):
    """Return the panel with the stack, scaled and moved."""
    viewer.open(stack, plugin="napari", scale=(2, 0.5, 0.5), translate=(1, 2, 3))
    return dock(viewer)


def expected_labels(panel, path):
    """Return the labels of `napari_emcad.segment` with the settings of the tab."""
    model, settings = panel.session.checkpoint, panel.segment.panel.settings
    return napari_emcad.segment(tifffile.imread(path), model, "ZYX", settings=settings).labels


def labels_layers(panel):
    return [layer for layer in panel.viewer.layers if isinstance(layer, Labels)]


def segment(panel, finish, path):
    panel.segment.panel.files.background_requested.emit(path)
    if panel.session.running is not None:
        finish(panel)


@contextmanager
def seen_growing(panel):
    """Collect what the layer shows whenever it is redrawn while the job runs."""
    seen = []
    controller = panel.segment.background
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            controller,
            "_refresh_soon",
            lambda: seen.extend(np.asarray(layer.data) for layer in labels_layers(panel)),
        )
        yield seen


def test_labels_are_those_of_python_on_the_image(opened, finish, stack, tmp_path):
    segment(opened, finish, tmp_path / "labels.zarr")
    expected = expected_labels(opened, stack)
    [layer] = labels_layers(opened)
    np.testing.assert_array_equal(layer.data, expected)
    [image] = [layer for layer in opened.viewer.layers if layer.name == "stack"]
    np.testing.assert_allclose(layer.scale, image.scale)
    np.testing.assert_allclose(layer.translate, image.translate)
    assert layer.editable
    np.testing.assert_array_equal(zarr.open_group(tmp_path / "labels.zarr")["0"], expected)
    assert "labels.zarr" in opened.runner.message


def test_labels_are_shown_while_they_are_written(opened, finish, stack, tmp_path, monkeypatch):
    monkeypatch.setattr("napari_emcad.cluster.layout._BATCH_PIXELS", 1)  # a slice per part
    with seen_growing(opened) as seen:
        segment(opened, finish, tmp_path / "labels.zarr")
    expected = expected_labels(opened, stack)
    filled = [[bool(plane.any()) for plane in labels] for labels in seen]
    assert [False] * 6 in filled  # before the first part
    assert any(0 < sum(planes) < 6 for planes in filled)
    for labels in seen:
        for plane, whole in zip(labels, expected, strict=True):
            assert not plane.any() or (plane == whole).all()


def test_a_stopped_run_goes_on(opened, finish, stack, tmp_path):
    output = tmp_path / "labels.zarr"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opened.segment.background, "_refresh_soon", opened.runner.stop)
        segment(opened, finish, output)
    assert opened.runner.message == "Stopped; choose labels.zarr again for the rest."
    assert not labels_layers(opened)
    assert not output.exists()
    segment(opened, finish, output)
    expected = expected_labels(opened, stack)
    np.testing.assert_array_equal(labels_layers(opened)[0].data, expected)
    assert [path.name for path in tmp_path.iterdir() if path.name != "stack.tif"] == ["labels.zarr"]


def test_objects_are_numbered_at_the_end(opened, finish, stack, tmp_path):
    opened.segment.panel._separate.setChecked(True)
    with seen_growing(opened) as seen:
        segment(opened, finish, tmp_path / "labels.zarr")
    assert not seen
    expected = expected_labels(opened, stack)
    np.testing.assert_array_equal(labels_layers(opened)[0].data, expected)


def test_large_labels_stay_on_disk(opened, finish, stack, tmp_path, monkeypatch):
    monkeypatch.setattr(background_controller, "_LARGEST_ARRAY", 100)
    segment(opened, finish, tmp_path / "labels.zarr")
    [layer] = labels_layers(opened)
    assert isinstance(layer.data, zarr.Array)
    assert not layer.editable
    np.testing.assert_array_equal(layer.data, expected_labels(opened, stack))


def test_large_slices_are_shown_by_their_coarser_levels(viewer, dock, finish, tmp_path, nuclei):
    tifffile.imwrite(tmp_path / "wide.tif", np.tile(nuclei, (3, 9)))
    viewer.open(tmp_path / "wide.tif", plugin="napari")
    panel = dock(viewer)
    with pytest.MonkeyPatch.context() as patch, seen_growing(panel) as seen:
        patch.setattr(background_controller, "_LARGEST_ARRAY", 100)
        patch.setattr(background_controller, "_LARGEST_SLICE", 100)
        segment(panel, finish, tmp_path / "labels.zarr")
    assert not seen  # all of a slice would be read again and again
    [layer] = labels_layers(panel)
    assert layer.multiscale
    expected = napari_emcad.segment(np.tile(nuclei, (3, 9)), panel.session.checkpoint).labels
    np.testing.assert_array_equal(np.asarray(layer.data[0]), expected)


def test_images_without_a_file_and_names_that_exist_are_refused(panel, finish, tmp_path, opened):
    (tmp_path / "there.zarr").mkdir()
    segment(opened, finish, tmp_path / "there")
    assert opened.runner.message == "there.zarr exists already; choose another name."
    opened.viewer.layers.clear()
    segment(opened, finish, tmp_path / "labels.zarr")
    assert opened.runner.message == "Open an image first."
    opened.viewer.add_image(np.zeros((40, 40), np.uint8))
    segment(opened, finish, tmp_path / "labels.zarr")
    assert "not in a file" in opened.runner.message
    assert not (tmp_path / "labels.zarr").exists()
