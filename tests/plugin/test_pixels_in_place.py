"""Pixels that are changed in place are noticed, and results with such changes are kept."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from driving import draw_strokes, maps, wait_until_idle
from napari.components import ViewerModel
from napari.layers import Image, Labels
from qtpy.QtCore import Qt

from napari_emcad.imaging.fingerprint import checksum
from napari_emcad.imaging.intensity import Preprocessing
from napari_emcad.model.network import PvtEmcad
from napari_emcad.plugin.layers.pixel_events import pixel_events
from napari_emcad.plugin.stages.request import StageChoices


def segment(panel, qtbot):
    qtbot.mouseClick(panel.segment.panel._run, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not panel.runner.running, timeout=60_000)


def results(panel):
    return [layer for layer in panel.viewer.layers if isinstance(layer, Labels)]


def test_a_redrawn_layer_with_other_pixels_is_noticed_and_a_moved_slider_is_not():
    stack = np.zeros((5, 20, 20), np.uint8)
    stack[3] = 7
    viewer = ViewerModel()
    layer = viewer.add_image(stack)
    seen = []
    events = pixel_events(layer)
    events.changed.connect(lambda: seen.append(1))
    for z in (3, 0, 1):
        viewer.dims.set_point(0, z)
    assert (len(seen), events.revision) == (0, 0)
    layer.refresh()
    assert (len(seen), events.revision) == (0, 1)
    stack[1, 4:6] = 9
    layer.refresh()
    assert (len(seen), events.revision) == (1, 2)
    layer.data = stack + 1
    assert len(seen) > 1


def test_a_slice_that_changed_while_it_was_hidden_is_noticed_when_it_is_drawn():
    stack = np.zeros((5, 20, 20), np.uint8)
    viewer = ViewerModel()
    events = pixel_events(viewer.add_image(stack))
    for z in (2, 4):
        viewer.dims.set_point(0, z)
    assert events.revision == 0
    stack[2, 3:5] = 9
    viewer.dims.set_point(0, 3)
    assert events.revision == 0
    viewer.dims.set_point(0, 2)
    assert events.revision == 1


@pytest.mark.parametrize("shape", [(3,), (7, 9), (4, 5, 6), (0, 3)])
def test_a_checksum_notices_every_changed_pixel(shape):
    array = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    before = checksum(array)
    for at in np.ndindex(shape):
        array[at] += 1
        assert checksum(array) != before
        array[at] -= 1
    assert checksum(array[::-1][::-1]) == before


def test_a_training_learns_the_pixels_that_are_there_now(panel, qtbot):
    image = panel.viewer.layers["nuclei"]
    panel.teach.annotating.new_annotation()
    draw_strokes(panel, qtbot)
    panel.teach.training.update_now()
    wait_until_idle(panel, qtbot)
    image.data[...] = 255 - image.data  # not refreshed: nobody is told
    images = panel.annotations.enabled_images(panel.session.checkpoint)
    keys, how = panel.session.project.record.patches, panel.session.checkpoint.preprocessing
    (planes,) = panel.teach.training._cache.planes(images, keys, how).values()
    low, high = np.percentile(image.data, (0.5, 99.5))
    expected = ((image.data - low) / (high - low)).clip(0, 1)
    assert np.abs(planes[0] - expected).mean() < 0.02


def test_maps_of_changed_pixels_are_outdated_and_computed_anew(viewer, dock, qtbot, nuclei):
    image = viewer.add_image(np.stack([nuclei] * 3), axis_labels=("z", "y", "x"))
    panel = dock(viewer)
    panel.stages.panel.set_value(StageChoices(stages=(1,), kinds=("probability",)))
    panel.stages.panel._follow.setChecked(True)
    panel.stages.controller.show()
    qtbot.mouseClick(panel.stages.panel._show, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not panel.runner.running and len(maps(panel)) == 1, timeout=60_000)
    before = next(iter(maps(panel).values())).data.copy()
    image.data[:, :, :64] = 12
    image.refresh()
    assert panel.stages.presenter.outdated
    qtbot.waitUntil(lambda: not panel.stages.presenter.outdated, timeout=60_000)
    qtbot.waitUntil(lambda: not panel.runner.running, timeout=60_000)
    qtbot.waitUntil(lambda: not panel.stages.presenter.waiting, timeout=60_000)
    assert not np.array_equal(before, next(iter(maps(panel).values())).data)


def test_a_result_that_was_corrected_in_place_is_not_overwritten(panel, qtbot):
    segment(panel, qtbot)
    (first,) = results(panel)
    segment(panel, qtbot)
    assert results(panel) == [first]
    first.data[2:5, 3:6] = 1
    first.refresh()
    corrected = first.data.copy()
    segment(panel, qtbot)
    assert len(results(panel)) == 2
    assert np.array_equal(first.data, corrected)


@pytest.mark.parametrize("dtype", [np.int32, np.uint16, np.int64, np.int8])
def test_a_result_that_is_converted_during_the_job_is_complete(
    viewer, dock, qtbot, nuclei, monkeypatch, dtype
):
    opened, begun, original = threading.Event(), threading.Event(), PvtEmcad.predict

    def predict(self, x, head="finest", zoom=1.0):
        begun.set()
        assert opened.wait(60)
        return original(self, x, head, zoom)

    viewer.add_image(np.stack([nuclei] * 6), axis_labels=("z", "y", "x"))
    panel = dock(viewer)
    panel.segment.panel._scope.setCurrentIndex(panel.segment.panel._scope.findData("layer"))
    panel.segment.panel._advanced._batch.setValue(1)
    segment(panel, qtbot)
    (layer,) = results(panel)
    expected = layer.data.copy()
    monkeypatch.setattr(PvtEmcad, "predict", predict)
    qtbot.mouseClick(panel.segment.panel._run, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(begun.is_set, timeout=60_000)
    layer.data = layer.data.astype(dtype)
    opened.set()
    qtbot.waitUntil(lambda: not panel.runner.running, timeout=60_000)
    assert expected.any((1, 2)).all()
    assert np.array_equal(results(panel)[-1].data, expected)


def test_planes_of_an_array_on_disk_are_read_again_after_a_refresh(tmp_path):
    import zarr

    from napari_emcad.annotation.label_rules import LabelRule
    from napari_emcad.imaging.slices import as_slices
    from napari_emcad.interactive.annotated_patches import AnnotatedImage, read_targets
    from napari_emcad.interactive.plane_cache import PlaneCache

    array = zarr.open(
        str(tmp_path / "a.zarr"), mode="w", shape=(32, 32), dtype="u1", chunks=(16, 16)
    )
    array[...] = np.arange(1024, dtype=np.uint16).reshape(32, 32) % 251
    layer = Image(array)
    ViewerModel().add_layer(layer)
    events, cache = pixel_events(layer), PlaneCache()
    labels = np.ones((32, 32), np.uint8)

    def planes():
        image = AnnotatedImage(
            "a", "a", as_slices(array, 3), labels, LabelRule(), revision=events.revision
        )
        preprocessing = Preprocessing("range", 0.0, 255.0)
        return next(iter(cache.planes([image], read_targets([image], 1), preprocessing).values()))

    before = planes().copy()
    assert np.array_equal(planes(), before)
    array[...] = 9
    layer.refresh()
    assert np.allclose(planes(), 9 / 255)
