"""The Suggest buttons of the Teach tab, which step through regions to annotate."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_emcad.annotation.label_rules import UNLABELED, LabelRule
from napari_emcad.imaging.slices import as_slices
from napari_emcad.interactive.annotated_patches import AnnotatedImage, read_window
from napari_emcad.model.network import PvtEmcad
from napari_emcad.plugin.stages.request import StageChoices


def press(qtbot, button):
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def suggest(panel, qtbot, finish):
    panel.stages.controller.show()
    panel.teach.suggesting.show()
    press(qtbot, panel.teach.panel.suggest._suggest)
    finish(panel)


def position_text(panel):
    return panel.teach.panel.suggest._position.text()


def annotate(panel, qtbot):
    panel._tabs.setCurrentWidget(panel.teach.panel)
    panel.teach.view.show_soon()
    qtbot.waitUntil(panel.teach.panel._new.isEnabled, timeout=60_000)
    press(qtbot, panel.teach.panel._new)
    return panel.teach.annotating.pair.labels


@pytest.fixture
def large(viewer, dock, nuclei):
    """Return a panel on slice 1 of a stack of blurred nuclei, twice as fine as it is deep."""
    rng = np.random.default_rng(0)
    plane = np.tile(nuclei, (2, 2)) // 4 + rng.integers(0, 40, (192, 256), np.uint8)
    viewer.add_image(
        np.stack([plane] * 3), name="stack", scale=(2, 0.5, 0.5), axis_labels=("z", "y", "x")
    )
    viewer.dims.set_current_step(0, 1)
    return dock(viewer)


def test_suggest_does_not_depend_on_the_chosen_maps(large, qtbot):
    panel = large.stages.panel
    panel.set_value(StageChoices((), ()))
    large.stages.controller.show()
    large.teach.suggesting.show()
    assert not panel._show.isEnabled()
    assert large.teach.panel.suggest._suggest.isEnabled()


@pytest.mark.parametrize("change", ["image", "data", "gone", "model"])
def test_regions_are_dropped_when_their_image_or_model_changes(
    change, large, qtbot, finish, nuclei
):
    viewer = large.viewer
    image = viewer.layers["stack"]
    other = viewer.add_image(nuclei, name="other")
    large.context.image_input.set_layer(image)
    suggest(large, qtbot, finish)
    assert position_text(large)
    if change == "image":
        large.context.image_input.set_layer(other)
    elif change == "data":
        image.data = image.data[:, :40, :40]
    elif change == "gone":
        viewer.layers.remove(image)
    else:
        large.session.open(large.session.checkpoint.override(title="another"))
    qtbot.waitUntil(lambda: not position_text(large), timeout=60_000)
    assert not large.teach.suggesting._regions


def test_the_zoom_shows_a_region_with_its_surroundings(large, qtbot, finish):
    camera, canvas = large.viewer.scene.camera, large.viewer.canvas
    suggest(large, qtbot, finish)
    first = large.teach.suggesting._regions[0]
    sides = (first.rows[1] - first.rows[0], first.columns[1] - first.columns[0])
    for zoom in (0.01, 400.0):
        camera.zoom = zoom
        large.teach.suggesting._show_region()
        share = np.hypot(*sides) * 0.5 * camera.zoom / min(canvas.size)
        assert 0.09 < share < 0.61
    zoom_before = camera.zoom
    large.teach.suggesting._show_region()
    assert camera.zoom == pytest.approx(zoom_before)


def test_stepping_skips_regions_that_were_annotated(large, qtbot, finish):
    panel, viewer = large, large.viewer
    labels = annotate(panel, qtbot)
    layers = list(viewer.layers)
    suggest(panel, qtbot, finish)
    regions = list(panel.teach.suggesting._regions)
    assert len(regions) > 2
    assert position_text(panel) == f"1 of {len(regions)}"
    assert [layer for layer in viewer.layers if layer not in rings(panel)] == layers
    center = viewer.scene.camera.center
    assert center[1:] == tuple(0.5 * region for region in regions[0].center)

    press(qtbot, panel.teach.panel.suggest._next)
    assert position_text(panel) == f"2 of {len(regions)}"
    assert viewer.scene.camera.center[1:] == tuple(0.5 * region for region in regions[1].center)
    viewer.dims.set_current_step(0, 2)
    press(qtbot, panel.teach.panel.suggest._previous)
    assert viewer.dims.current_step[0] == 1
    press(qtbot, panel.teach.panel.suggest._previous)
    assert position_text(panel) == f"{len(regions)} of {len(regions)}"

    press(qtbot, panel.teach.panel.suggest._next)
    y, x = map(int, regions[0].center)
    labels.data[1, y, x] = 1
    press(qtbot, panel.teach.panel.suggest._next)
    assert position_text(panel) == f"1 of {len(regions) - 1}"
    assert viewer.scene.camera.center[1:] == tuple(0.5 * region for region in regions[1].center)

    labels.data[1] = 1
    press(qtbot, panel.teach.panel.suggest._next)
    assert position_text(panel) == ""
    assert list(viewer.layers) == layers
    suggest(panel, qtbot, finish)
    assert position_text(panel) == ""


def test_regions_of_a_coarse_level_are_annotated_in_pixels_of_the_finest_level(
    viewer, dock, nuclei, qtbot, finish
):
    rng = np.random.default_rng(0)
    coarse = np.tile(nuclei, (2, 2)) // 4 + rng.integers(0, 40, (192, 256), np.uint8)
    fine = coarse.repeat(4, 0).repeat(4, 1)
    viewer.add_image([fine, coarse], multiscale=True, name="slide", scale=(0.5, 0.5))
    panel = dock(viewer)
    labels = annotate(panel, qtbot)
    panel.segment.panel._level.setCurrentIndex(1)
    suggest(panel, qtbot, finish)
    first = panel.teach.suggesting._regions[0]
    assert all(end - start == 4 * 64 for start, end in (first.rows, first.columns))
    assert viewer.scene.camera.center[1:] == tuple(0.5 * position for position in first.center)

    labels.data[first.rows[0] : first.rows[0] + 3, first.columns[0] : first.columns[0] + 3] = 1
    suggest(panel, qtbot, finish)
    assert first not in panel.teach.suggesting._regions
    assert panel.teach.suggesting._regions


def test_a_removed_image_has_no_regions(large, qtbot, finish):
    suggest(large, qtbot, finish)
    assert large.teach.suggesting._regions
    large.viewer.layers.clear()
    large.teach.suggesting.step(1)
    assert position_text(large) == ""
    large.teach.suggesting.suggest()
    assert "image" in large.job_bar._message.text()


def test_a_window_of_annotations_equals_that_part_of_the_slice():
    labels = np.zeros((3, 40, 30), np.uint8)
    labels[1, 5:9, 7:20], labels[1, 30, 3] = 2, 255
    slices = as_slices(np.zeros((3, 60, 50), np.uint8), 3, "ZYX")
    source = AnnotatedImage("a", "a", slices, labels, LabelRule(), (0, 10, 4))
    complete = read_window(source, (1,), (0, 60), (0, 50), 2)
    assert complete.shape == (60, 50)
    assert np.count_nonzero(complete == 2) == 4 * 13
    assert complete[40, 7] == 0
    for rows, columns in (((12, 50), (2, 20)), ((0, 5), (0, 5)), ((58, 60), (40, 50))):
        part = read_window(source, (1,), rows, columns, 2)
        assert np.array_equal(part, complete[slice(*rows), slice(*columns)])
    assert (read_window(source, (2,), (0, 60), (0, 50), 2) == UNLABELED).all()


# -- the whole stack


def choose_stack(panel):
    panel.stages.controller.show()
    panel.teach.suggesting.show()
    choice = panel.teach.panel.suggest._range
    choice.setCurrentIndex(choice.findText("whole stack"))


@pytest.fixture
def uneven(viewer, dock, nuclei):
    """Return a panel on slice 0 of five, of which 1 and 4 are uncertain."""
    rng = np.random.default_rng(0)
    plane = np.tile(nuclei, (2, 2))
    noisy = plane // 4 + rng.integers(0, 40, (192, 256), np.uint8)
    stack = np.stack([plane * 0, noisy, plane * 0, plane * 0, noisy[::-1]])
    viewer.add_image(stack, name="stack", scale=(2, 0.5, 0.5), axis_labels=("z", "y", "x"))
    viewer.dims.set_current_step(0, 0)
    return dock(viewer)


def test_regions_of_a_whole_stack_show_their_slice(uneven, qtbot, finish):
    panel, viewer = uneven, uneven.viewer
    labels = annotate(panel, qtbot)
    suggest(panel, qtbot, finish)
    assert position_text(panel) == ""
    assert panel.job_bar.message == "No uncertain region was found."
    choose_stack(panel)
    suggest(panel, qtbot, finish)
    regions = list(panel.teach.suggesting._regions)
    assert {region.index for region in regions} == {(1,), (4,)}
    visited = []
    for region in regions:
        visited.append(viewer.dims.current_step[0])
        assert (visited[-1],) == region.index
        assert viewer.scene.camera.center[1:] == tuple(0.5 * at for at in region.center)
        press(qtbot, panel.teach.panel.suggest._next)
    assert sum(a != b for a, b in pairwise(visited)) == 1  # never to and fro
    assert viewer.dims.current_step[0] == visited[0]

    labels.data[visited[0]] = 1
    press(qtbot, panel.teach.panel.suggest._next)
    left = [region for region in regions if region.index != (visited[0],)]
    assert position_text(panel).endswith(f"of {len(left)}")
    assert viewer.dims.current_step[0] == visited[-1]


def test_the_whole_stack_can_be_chosen_for_stacks_only(uneven, qtbot, finish, nuclei):
    panel, fields = uneven, uneven.teach.panel
    choose_stack(panel)
    assert fields.suggest._range.isVisibleTo(fields)
    assert fields.suggest._range.isEnabled()
    flat = panel.viewer.add_image(nuclei, name="flat")
    panel.context.image_input.set_layer(flat)
    panel.stages.controller.show()
    panel.teach.suggesting.show()
    assert not fields.suggest._range.isVisibleTo(fields)
    suggest(panel, qtbot, finish)
    assert panel.teach.suggesting._current.stages.image is flat
    assert panel.teach.suggesting._current.search.slices.scope.index == ()


def test_a_search_can_be_stopped_and_reports_its_progress(uneven, qtbot, finish, monkeypatch):
    panel, original, running_jobs = uneven, PvtEmcad.forward_intermediates, []

    def forward_intermediates(self, x):
        running_jobs.append(panel.runner.running)
        if len(running_jobs) == 3:
            panel.runner._job.thread.stop()
        return original(self, x)

    monkeypatch.setattr(PvtEmcad, "forward_intermediates", forward_intermediates)
    events = []
    panel.session.job_event.connect(lambda _, event: events.append(event))
    choose_stack(panel)
    suggest(panel, qtbot, finish)
    assert [(event.done, event.total) for event in events] == [(n, 5) for n in range(4)]
    assert panel.job_bar.message == "Stopped after 3 of 5 slices."
    assert {region.index for region in panel.teach.suggesting._regions} == {(1,)}


@pytest.mark.parametrize("error", [RuntimeError("shapes"), MemoryError()])
def test_an_error_enables_the_button_again(uneven, qtbot, finish, monkeypatch, error):
    """H1, H20."""
    with monkeypatch.context() as broken:

        def forward_intermediates(*_):
            raise type(error)(*error.args)

        broken.setattr(PvtEmcad, "forward_intermediates", forward_intermediates)
        choose_stack(uneven)
        suggest(uneven, qtbot, finish)
    assert uneven.job_bar.message
    assert position_text(uneven) == ""
    suggest(uneven, qtbot, finish)
    assert position_text(uneven)


def rings(panel):
    return [layer for layer in panel.viewer.layers if layer.name.startswith("suggested region")]


def test_a_ring_lies_on_the_region_and_follows_the_steps(large, qtbot, finish):
    suggest(large, qtbot, finish)
    [ring] = rings(large)
    first = large.teach.suggesting._regions[0]
    assert ring.data[0].tolist() == [first.index[0], *first.center]
    np.testing.assert_array_equal(ring.scale, large.viewer.layers["stack"].scale)
    assert large.viewer.layers.selection.active is large.viewer.layers["stack"]
    assert f"uncertainty {first.uncertainty:.2f}" in large.teach.panel.suggest._reason.text()
    press(qtbot, large.teach.panel.suggest._next)
    [ring] = rings(large)
    second = large.teach.suggesting._regions[large.teach.suggesting._at]
    assert ring.data[0].tolist() == [second.index[0], *second.center]
    large.teach.suggesting._forget()
    assert not rings(large)


def test_the_brush_is_ready_where_there_is_an_annotation(large, qtbot, finish):
    suggest(large, qtbot, finish)
    assert large.teach.annotating.painted_class == -1
    labels = annotate(large, qtbot)
    labels.mode = "pan_zoom"
    suggest(large, qtbot, finish)
    assert large.viewer.layers.selection.active is labels
    assert large.teach.annotating.painted_class == 1


def test_closing_the_panel_takes_the_ring_along(large, qtbot, finish):
    suggest(large, qtbot, finish)
    large.close_down()
    assert not rings(large)
