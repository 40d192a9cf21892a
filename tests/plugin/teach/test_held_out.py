"""Uses of held-out pixels: calibrated uncertainty, and whether more strokes help."""

from __future__ import annotations

import threading
from itertools import product

import numpy as np
import pytest
from driving import annotation, choose_quick_training, drag, maps, press, train, wait_until_idle
from qtpy.QtCore import Qt
from superqt import QCollapsible

from napari_emcad import stage_maps
from napari_emcad.inference.events import InferenceSettings
from napari_emcad.inference.probabilities import class_probabilities
from napari_emcad.interactive import instant
from napari_emcad.interactive.calibrate import (
    HeldOutPredictions,
    fit_calibration,
    held_out_predictions,
)
from napari_emcad.io.checkpoints.heads import with_class_names
from napari_emcad.model.network import PvtEmcad
from napari_emcad.plugin.stages.request import StageChoices
from napari_emcad.plugin.widgets.plot import ACCENT_COLOR
from napari_emcad.plugin.widgets.reliability_plot import ReliabilityPlot

NUCLEI = ((18, 26), (30, 26), (26, 100), (44, 76), (56, 76))
BACKGROUND = ((4, 50), (8, 60), (60, 20), (85, 100), (90, 4))


@pytest.fixture
def panel_with_annotation(panel, qtbot):
    """Return the panel with one empty annotation and the Stages tab open."""
    panel._tabs.setCurrentWidget(panel.teach.panel)
    wait_until_idle(panel, qtbot)
    choose_quick_training(panel)
    press(qtbot, panel.teach.panel._new)
    panel._tabs.setCurrentWidget(panel.stages.panel)
    for section in panel.stages.panel.findChildren(QCollapsible):
        section.expand(animate=False)
    return panel


def draw_strokes(panel, qtbot, count=5):
    for k, starts in ((1, NUCLEI), (0, BACKGROUND)):
        panel.teach.annotating.paint(k)
        labels = annotation(panel)
        labels.brush_size = 3
        for n, (y, x) in enumerate(starts[:count]):
            drag(labels, [(y, x + step) for step in range(10 + 8 * (n == 4))])
    wait_until_idle(panel, qtbot)


def box(panel):
    return panel.stages.panel.calibration


def calibrate(panel, qtbot):
    qtbot.waitUntil(box(panel)._button.isEnabled, timeout=60_000)
    press(qtbot, box(panel)._button)
    wait_until_idle(panel, qtbot)
    panel.stages.calibrating.show()


def show_maps(panel, qtbot):
    panel.stages.panel.set_value(StageChoices((1,), ("entropy", "disagreement")))
    panel.stages.controller.show()
    qtbot.mouseClick(panel.stages.panel._show, Qt.MouseButton.LeftButton)
    wait_until_idle(panel, qtbot)
    qtbot.waitUntil(lambda: not panel.stages.presenter._waiting, timeout=60_000)


def entropies(panel, temperature):
    image = panel.viewer.layers["nuclei"].data
    maps_of_slices = stage_maps(
        image, panel.session.checkpoint, "entropy", device="cpu", temperature=temperature
    )
    return maps_of_slices[0]["entropy"].values


def test_the_temperature_is_fitted_shown_and_used_until_the_model_changes(
    panel_with_annotation, qtbot
):
    panel = panel_with_annotation
    draw_strokes(panel, qtbot)
    show_maps(panel, qtbot)
    calibrate(panel, qtbot)
    calibration, held_out = panel.session.calibration, panel.session.project.record.held_out_counts
    assert calibration.pixels == sum(held_out.values())
    assert abs(calibration.temperature - 1) > 0.1
    assert box(panel).shown_text == str(calibration)
    assert box(panel).plot.isVisibleTo(box(panel))
    before, after = box(panel).plot.dots()
    assert sum(share for *_, share in before) == pytest.approx(1)
    assert before != after
    assert "Calibrated in" in panel.job_bar.message
    status = panel.stages.panel._status
    assert "press Show for its uncertainty" in status.text()
    np.testing.assert_allclose(maps(panel)["entropy"].data, entropies(panel, 1.0), atol=1e-4)

    show_maps(panel, qtbot)
    assert f"temperature {calibration.temperature:.2g}" in status.text()
    expected = entropies(panel, calibration.temperature)
    np.testing.assert_allclose(maps(panel)["entropy"].data, expected, atol=1e-4)
    assert np.abs(expected - entropies(panel, 1.0)).max() > 0.01

    train(panel, qtbot)
    panel.stages.calibrating.show()
    assert panel.session.temperature == 1
    assert "temperature 1 again" in box(panel).shown_text
    assert not box(panel).plot.isVisibleTo(box(panel))
    show_maps(panel, qtbot)
    np.testing.assert_allclose(maps(panel)["entropy"].data, entropies(panel, 1.0), atol=1e-4)

    panel.teach.training.go_to(next(iter(panel.session.versions)))
    wait_until_idle(panel, qtbot)
    panel.stages.calibrating.show()
    assert panel.session.temperature == calibration.temperature
    assert box(panel).shown_text == str(calibration)


def test_suggestions_use_the_temperature(panel_with_annotation, qtbot):
    panel = panel_with_annotation
    draw_strokes(panel, qtbot)
    calibrate(panel, qtbot)
    assert panel.teach.suggesting._request().stages.temperature == panel.session.temperature != 1


def test_maps_that_follow_the_slider_follow_the_temperature(panel_with_annotation, qtbot, nuclei):
    panel = panel_with_annotation
    panel.viewer.layers.clear()
    stack = np.stack([nuclei] * 5)
    panel.viewer.add_image(stack, name="stack", axis_labels=("z", "y", "x"))
    wait_until_idle(panel, qtbot)
    panel.viewer.dims.set_current_step(0, 0)
    panel.teach.annotating.new_annotation()
    labels = annotation(panel)
    for value, starts in ((1, NUCLEI), (255, BACKGROUND)):
        for n, (y, x) in enumerate(starts):
            labels.data[0, y : y + 3, x : x + 10 + 8 * (n == 4)] = value
    panel.teach.training.queue.scan()
    wait_until_idle(panel, qtbot)
    panel.stages.panel._follow.setChecked(True)
    show_maps(panel, qtbot)
    before = maps(panel)["entropy"].data.copy()
    calibrate(panel, qtbot)
    qtbot.waitUntil(lambda: not np.array_equal(maps(panel)["entropy"].data, before), timeout=60_000)
    wait_until_idle(panel, qtbot)
    assert "temperature" in panel.stages.panel._status.text()


def test_missing_requirements_of_calibration_are_shown(panel_with_annotation, qtbot):
    panel = panel_with_annotation
    panel.stages.calibrating.show()
    assert "Teach tab" in box(panel).shown_text
    assert not box(panel)._button.isEnabled()
    draw_strokes(panel, qtbot, 2)
    panel.stages.calibrating.show()
    assert "five strokes" in box(panel).shown_text
    draw_strokes(panel, qtbot)
    panel.stages.calibrating.show()
    assert box(panel).shown_text == ""
    assert box(panel)._button.isEnabled()
    panel.session.project.add_class("debris")
    panel.stages.calibrating.show()
    assert "train it first" in box(panel).shown_text
    panel.stages.calibrating.calibrate()
    assert "train it first" in panel.job_bar.message
    names = [label.name for label in panel.session.project.classes]
    panel.session.open(with_class_names(panel.session.checkpoint, names))
    calibrate(panel, qtbot)
    assert panel.session.calibration.checkpoint is panel.session.checkpoint


def test_stop_and_errors_leave_the_temperature_unchanged(panel_with_annotation, qtbot, monkeypatch):
    """H1, H20."""
    panel = panel_with_annotation
    draw_strokes(panel, qtbot)
    original = PvtEmcad.forward_intermediates
    with monkeypatch.context() as broken:

        def stopped(self, x):
            panel.runner._job.thread.stop()
            return original(self, x)

        broken.setattr(PvtEmcad, "forward_intermediates", stopped)
        panel.segment.panel._advanced._tile.setValue(64)
        calibrate(panel, qtbot)
        assert "Stopped" in panel.job_bar.message

        def forward_intermediates(*_):
            raise RuntimeError("shapes")

        broken.setattr(PvtEmcad, "forward_intermediates", forward_intermediates)
        calibrate(panel, qtbot)
        assert "shapes" in panel.job_bar.message
    assert panel.session.calibration is None
    assert panel.session.temperature == 1
    calibrate(panel, qtbot)
    assert panel.session.calibration is not None


def test_a_reopened_panel_keeps_the_temperature(panel_with_annotation, qtbot, viewer, dock):
    panel = panel_with_annotation
    draw_strokes(panel, qtbot)
    calibrate(panel, qtbot)
    calibration = panel.session.calibration
    viewer.window.remove_dock_widget(panel.parent())
    assert len(panel.session.calibration_changed) == 0
    again = dock(viewer)
    again.stages.calibrating.show()
    assert box(again).shown_text == str(calibration)
    assert again.session.temperature == calibration.temperature


def test_closing_the_dock_ends_a_calibration(panel_with_annotation, qtbot, viewer, monkeypatch):
    """H5."""
    panel, original, opened = (
        panel_with_annotation,
        PvtEmcad.forward_intermediates,
        threading.Event(),
    )
    draw_strokes(panel, qtbot)

    def forward_intermediates(self, x):
        assert opened.wait(60)
        return original(self, x)

    monkeypatch.setattr(PvtEmcad, "forward_intermediates", forward_intermediates)
    qtbot.waitUntil(box(panel)._button.isEnabled, timeout=60_000)
    press(qtbot, box(panel)._button)
    thread, session = panel.runner._job.thread, panel.session
    viewer.window.remove_dock_widget(panel.parent())
    assert session.running is None
    opened.set()
    assert thread.wait(20)
    qtbot.wait(50)
    assert session.calibration is None


@pytest.mark.parametrize("ink", ["#f0f1f2", "#3b3a39"])
@pytest.mark.parametrize("classes", [1, 3])
def test_the_plot_draws_a_dot_per_bin_in_any_theme(qtbot, ink, classes):
    random = np.random.default_rng(0)
    logits = (4 * random.standard_normal((classes, 900))).astype(np.float32)
    predicted = class_probabilities(logits).argmax(0)
    truth = np.where(random.uniform(size=900) < 0.7, predicted, 1 - predicted.clip(0, 1)).astype(
        np.int16
    )
    calibration = fit_calibration(None, HeldOutPredictions(logits, truth))
    plot = ReliabilityPlot()
    qtbot.addWidget(plot)
    plot.setStyleSheet(f"color: {ink}")
    plot.resize(260, 160)
    plot.show_calibration(calibration)
    plot.show()
    drawn = plot.grab().toImage()
    before, after = plot.dots()
    assert len(after) == np.count_nonzero(calibration.after.pixels)
    assert len(before) == np.count_nonzero(calibration.before.pixels)
    pixels = product(range(drawn.width()), range(drawn.height()))
    colors = [drawn.pixelColor(x, y).name() for x, y in pixels]
    assert colors.count(ACCENT_COLOR) > 8 * len(after)  # dots are filled
    plot.show_calibration(None)
    drawn = plot.grab().toImage()
    pixels = product(range(drawn.width()), range(drawn.height()))
    colors_without = [drawn.pixelColor(x, y).name() for x, y in pixels]
    assert colors_without.count(ACCENT_COLOR) < colors.count(ACCENT_COLOR)


# -- whether more strokes help


def result_of(job):
    while True:
        try:
            next(job)
        except StopIteration as end:
            return end.value


def shown_hint(panel):
    panel.teach.view.show()
    return panel.teach.panel.versions.hint


def test_the_version_list_shows_whether_more_strokes_help(
    panel_with_annotation, qtbot, monkeypatch
):
    panel = panel_with_annotation
    panel._tabs.setCurrentWidget(panel.teach.panel)
    assert shown_hint(panel) == ""
    draw_strokes(panel, qtbot, 2)
    assert "cannot be judged yet" in shown_hint(panel)
    draw_strokes(panel, qtbot)
    train(panel, qtbot)
    first = panel.session.versions.current
    assert f"Dice {first.score.dice:.2f} on {first.held_out:,}" in shown_hint(panel)
    _, record = panel.stages.calibrating._held_out(first.checkpoint)
    job = held_out_predictions(
        first.checkpoint,
        panel.annotations.enabled_images(first.checkpoint),
        record,
        InferenceSettings(device="cpu"),
        threading.Event(),
    )
    assert first.uncertainty == pytest.approx(result_of(job).mean_entropy, abs=1e-3)
    scores = panel.teach.panel.versions._rows
    assert f"mean uncertainty there {first.uncertainty:.2f}" in scores.item(0, 3).toolTip()

    panel.teach.annotating.paint(1)
    for y, x in ((75, 40), (52, 88)):
        annotation(panel).paint((y, x), 1)
    wait_until_idle(panel, qtbot)
    train(panel, qtbot)
    second = panel.session.versions.current
    assert f"{first.score.dice:.2f} → {second.score.dice:.2f}" in shown_hint(panel)
    assert (
        f"Mean uncertainty there: {first.uncertainty:.2f} → {second.uncertainty:.2f}"
        in shown_hint(panel)
    )
    panel.teach.training.go_to(first)
    wait_until_idle(panel, qtbot)
    assert shown_hint(panel).startswith("Dice ")


@pytest.mark.parametrize("error", [RuntimeError("shapes"), MemoryError()])
def test_an_error_in_the_uncertainty_does_not_lose_the_training(
    panel_with_annotation, qtbot, monkeypatch, error
):
    panel = panel_with_annotation
    draw_strokes(panel, qtbot)

    def forward_intermediates(*_):
        raise type(error)(*error.args)

    monkeypatch.setattr(PvtEmcad, "forward_intermediates", forward_intermediates)
    train(panel, qtbot)
    version = panel.session.versions.current
    assert version.how == "trained"
    assert version.score is not None
    assert version.uncertainty is None


@pytest.mark.parametrize("dice", [1.0, 0.0, None])
def test_a_training_says_if_instant_is_better(panel_with_annotation, qtbot, monkeypatch, dice):
    panel = panel_with_annotation
    monkeypatch.setattr(instant.InstantTrainer, "score", lambda *_: dice)
    draw_strokes(panel, qtbot)
    train(panel, qtbot)
    message = panel.job_bar.message
    assert "held-out pixels" in message
    advice = "Instant predicts them better (Dice 1.000): choose it under Model"
    assert (advice in message) == (dice == 1.0)
    assert (panel.session.instant is not None) == (dice == 1.0)


def test_a_failed_comparison_does_not_lose_the_training(panel_with_annotation, qtbot, monkeypatch):
    def fail(*_):
        raise RuntimeError("No memory.")

    panel = panel_with_annotation
    monkeypatch.setattr(instant.InstantTrainer, "score", fail)
    draw_strokes(panel, qtbot)
    train(panel, qtbot)
    assert [version.how for version in panel.session.versions] == ["opened", "trained"]
    assert "Instant" not in panel.job_bar.message
