"""A class is filled between the slices on which it was painted."""

from __future__ import annotations

import numpy as np
import pytest
from driving import annotation, press, wait_until_idle


@pytest.fixture
def stack(viewer, dock, nuclei, qtbot):
    """Return the panel with an annotation of a stack of 7 slices."""
    viewer.add_image(np.stack([nuclei] * 7), name="stack", axis_labels=("z", "y", "x"))
    panel = dock(viewer)
    panel._tabs.setCurrentWidget(panel.teach.panel)
    press(qtbot, panel.teach.panel._new)
    return panel


def square(panel, z, k, rows, columns):
    labels = annotation(panel)
    grid = np.meshgrid(np.arange(*rows), np.arange(*columns), indexing="ij")
    y, x = (axis.ravel() for axis in grid)
    labels.data_setitem((np.full(y.size, z), y, x), k)


def fill(panel, qtbot):
    press(qtbot, panel.teach.panel._fill)
    wait_until_idle(panel, qtbot)


def test_slices_between_two_painted_ones_are_filled(stack, qtbot):
    square(stack, 1, 1, (20, 40), (20, 40))
    square(stack, 5, 1, (20, 60), (20, 60))
    stack.teach.annotating.paint(1)
    fill(stack, qtbot)
    areas = (annotation(stack).data == 1).sum((1, 2))
    assert areas[0] == areas[6] == 0
    assert areas[1] == 400
    assert (np.diff(areas[1:6]) > 0).all()
    assert "pixels filled" in stack.runner.message
    annotation(stack).undo()
    assert (annotation(stack).data == 1).any((1, 2)).tolist() == [n in (1, 5) for n in range(7)]


def test_only_the_painted_class_and_unlabeled_pixels_are_filled(stack, qtbot):
    for z in (0, 4):
        square(stack, z, 1, (20, 40), (20, 40))
        square(stack, z, 255, (60, 80), (20, 40))
    square(stack, 2, 255, (20, 24), (20, 40))
    stack.teach.annotating.paint(1)
    fill(stack, qtbot)
    data = annotation(stack).data
    assert (data[2, 20:24, 20:40] == 255).all()  # painted by hand
    assert (data[2, 24:40, 20:40] == 1).all()
    assert not data[1, 60:80].any()


def test_the_background_is_filled_as_well(stack, qtbot):
    for z in (0, 4):
        square(stack, z, 255, (60, 80), (20, 40))
    stack.teach.annotating.paint(0)
    fill(stack, qtbot)
    assert (annotation(stack).data[:5, 60:80, 20:40] == 255).all()


def test_without_a_gap_or_a_class_the_message_says_what_to_do(stack, qtbot):
    stack.teach.annotating.paint(1)
    fill(stack, qtbot)
    assert "Paint the class on two slices" in stack.runner.message
    stack.viewer.layers.selection.active = stack.viewer.layers["stack"]
    fill(stack, qtbot)
    assert "Choose the class to fill" in stack.runner.message


def test_everything_annotated_already_is_named(stack, qtbot):
    for z in range(0, 5, 2):
        square(stack, z, 1, (20, 40), (20, 40))
    stack.teach.annotating.paint(1)
    fill(stack, qtbot)
    fill(stack, qtbot)
    assert "Paint the class on two slices" in stack.runner.message


def test_flat_images_have_no_such_button(teach):
    assert teach.teach.panel._fill.isHidden()


def test_other_axes_are_filled_one_position_at_a_time(viewer, dock, nuclei, qtbot):
    pixels = np.stack([np.stack([nuclei] * 2)] * 5, axis=0)
    viewer.add_image(pixels, name="movie", axis_labels=("z", "t", "y", "x"))
    panel = dock(viewer)
    panel._tabs.setCurrentWidget(panel.teach.panel)
    press(qtbot, panel.teach.panel._new)
    labels = annotation(panel)
    y, x = (axis.ravel() for axis in np.mgrid[20:40, 20:40])
    for z in (0, 4):
        labels.data_setitem((np.full(y.size, z), np.full(y.size, 1), y, x), 1)
    panel.teach.annotating.paint(1)
    fill(panel, qtbot)
    assert (annotation(panel).data == 1).any((2, 3)).tolist() == [[False, True]] * 5
