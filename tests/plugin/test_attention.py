"""Nothing changes what the user is doing: mode, selected label, brush and active layer stay."""

from __future__ import annotations

import numpy as np
import pytest
from driving import (
    TIMEOUT_MS,
    annotation,
    draw_strokes,
    press,
    train,
    wait_until_idle,
)

from napari_emcad.plugin.stages.request import StageChoices


@pytest.fixture
def trained(teach, qtbot):
    """Return a panel whose model was trained and whose annotation is painted on."""
    draw_strokes(teach, qtbot, 2)
    train(teach, qtbot)
    return teach


def doing(panel):
    """Return what the user is doing."""
    layers = panel.viewer.layers.selection
    labels = annotation(panel)
    return (
        layers.active,
        set(layers),
        str(labels.mode),
        int(labels.selected_label),
        labels.brush_size,
        labels.n_edit_dimensions,
        labels.contiguous,
        labels.preserve_labels,
    )


def segment(panel):
    panel.segment.controller.run()


def segment_in_a_new_layer_with_probabilities(panel):
    panel.segment.panel._new_layer.setChecked(True)
    panel.segment.panel._advanced._probabilities.setChecked(True)
    panel.segment.controller.run()


def segment_objects(panel):
    panel.segment.panel._separate.setChecked(True)
    panel.segment.controller.run()


def correct(panel):
    panel.teach.annotating.correct()


def delete_the_prediction_and_update(panel):
    panel.viewer.layers.remove(panel.teach.annotating.prediction)
    panel.teach.training.update_now()


def go_to_a_version(panel):
    panel.teach.training.go_to(next(iter(panel.session.versions)))


def compare(panel):
    panel.teach.preview.compare(next(iter(panel.session.versions)))


def toggle(panel):
    for which in ("annotation", "prediction") * 2:
        panel.teach.annotating.toggle(which)


def stage_maps(panel):
    panel.stages.panel.set_value(StageChoices((1, 2), ("probability", "gate")))
    panel.stages.controller.compute()


def stage_maps_side_by_side(panel):
    stage_maps(panel)
    panel.stages.controller.side_by_side(True)
    panel.stages.controller.side_by_side(False)


def rename(panel):
    panel.teach.classes.rename(1, "cell")


def recolor(panel):
    panel.teach.classes.recolor(1, "#aa00aa")


def tick(panel):
    (key,) = panel.session.project.entries
    panel.session.project.change_entry(key, enabled=False)
    panel.session.project.change_entry(key, enabled=True)


def open_another_model(panel):
    panel.model.controller.open_bundled()


def fill_in_details(panel):
    panel.model.controller.override({"head": "sum"})


def close_the_dock(panel):
    panel.parent().destroyOnClose()


ACTIONS = {
    "show": lambda panel: panel.teach.view.show(),
    "segment": segment,
    "segment new layers": segment_in_a_new_layer_with_probabilities,
    "segment objects": segment_objects,
    "correct": correct,
    "train": lambda panel: panel.teach.training.train(),
    "update": lambda panel: panel.teach.training.update_now(),
    "live": lambda panel: panel.teach.training.set_live(True),
    "update after deletion": delete_the_prediction_and_update,
    "use a version": go_to_a_version,
    "compare": compare,
    "toggle": toggle,
    "maps": stage_maps,
    "maps side by side": stage_maps_side_by_side,
    "suggest": lambda panel: panel.teach.suggesting.suggest(),
    "calibrate": lambda panel: panel.stages.calibrating.calibrate(),
    "rename": rename,
    "recolor": recolor,
    "tick": tick,
    "open": open_another_model,
    "details": fill_in_details,
    "autosave": lambda panel: panel.autosave.saver.save(),
}


def settle(panel, qtbot):
    wait_until_idle(panel, qtbot)
    qtbot.wait(120)
    qtbot.waitUntil(lambda: not panel.stages.presenter.waiting, timeout=TIMEOUT_MS)
    wait_until_idle(panel, qtbot)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["erase", "polygon"])
def test_no_action_changes_what_the_user_is_doing(trained, qtbot, mode):
    panel, labels = trained, annotation(trained)
    panel.teach.annotating.paint(1)
    labels.mode, labels.brush_size, labels.contiguous = mode, 17, False
    before = doing(panel)
    disturbed = {}
    for name, action in ACTIONS.items():
        action(panel)
        settle(panel, qtbot)
        after = doing(panel)
        if after != before:
            disturbed[name] = [(b, a) for b, a in zip(before, after, strict=True) if a != b]
            panel.viewer.layers.selection.active = labels
            labels.mode, labels.selected_label = mode, before[3]
    assert disturbed == {}


def test_a_class_that_is_added_or_clicked_is_painted(trained, qtbot):
    panel = trained
    press(qtbot, panel.teach.panel.classes._add)
    assert annotation(panel).selected_label == 2
    assert str(annotation(panel).mode) == "paint"


def test_the_layer_of_another_image_stays_active(trained, qtbot):
    panel = trained
    other = panel.viewer.add_image(np.zeros((96, 128), np.uint8), name="other")
    panel.viewer.layers.selection.active = other
    segment(panel)
    settle(panel, qtbot)
    assert panel.viewer.layers.selection.active is other
