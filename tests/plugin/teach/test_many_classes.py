"""Models with more classes than an annotation has values for."""

from __future__ import annotations

import numpy as np
import pytest
from driving import draw_stroke, press, wait_until_idle

import napari_emcad
from napari_emcad.annotation.label_rules import LabelRule
from napari_emcad.interactive.annotation_entry import AnnotationEntry
from napari_emcad.interactive.project import AnnotationProject
from napari_emcad.io.checkpoints.classes import class_labels


def many(count):
    return napari_emcad.initialize_checkpoint(num_classes=count + 1)


@pytest.mark.parametrize("count", [255, 300])
def test_an_annotation_of_too_many_classes_is_refused_and_adds_no_layer(panel, qtbot, count):
    panel.session.open(many(count))
    before = list(panel.viewer.layers)
    press(qtbot, panel.teach.panel._new)
    assert f"at most 254 classes besides the background, and this model has {count}" in (
        panel.job_bar.message
    )
    assert list(panel.viewer.layers) == before
    mask = panel.viewer.add_labels(np.full((96, 128), count, np.uint16), name="mask")
    panel.teach.annotating.use_layer(mask)  # its values are not limited to bytes
    (pair,) = panel.annotations.pairs
    panel.teach.annotating.change_meaning(pair.key, "scribbles")
    assert "at most 254 classes" in panel.job_bar.message


def test_the_largest_possible_number_of_classes_is_painted(panel, qtbot):
    panel.session.open(many(254))
    press(qtbot, panel.teach.panel._new)
    draw_stroke(panel, 254, (24, 30))
    draw_stroke(panel, 0, (60, 30))
    wait_until_idle(panel, qtbot)
    assert panel.session.project.record.strokes == {0: 1, 254: 1}


def test_a_model_with_too_many_classes_opened_later_leaves_annotations_alone(panel, qtbot):
    press(qtbot, panel.teach.panel._new)
    panel.session.open(many(300))  # nothing is painted yet
    wait_until_idle(panel, qtbot)
    panel.teach.annotating.paint(1)
    assert len(panel.annotations.pairs) <= 1
    panel.teach.annotating.paint(300)
    assert panel.job_bar.message


def test_a_project_refuses_an_entry_with_too_many_classes():
    project = AnnotationProject()
    project.adopt_classes(class_labels(map(str, range(300))))
    with pytest.raises(ValueError, match="at most 254 classes"):
        project.add_entry(AnnotationEntry("key", "image", LabelRule()))
    assert not project.entries
