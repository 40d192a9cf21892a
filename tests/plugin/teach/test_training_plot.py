"""The curve of a training: the held-out score large, a dot per live update, the loss on demand."""

from __future__ import annotations

import numpy as np
from driving import draw_stroke, press, wait_until_idle
from qtpy.QtGui import QColor

from napari_emcad.plugin.widgets.training_plot import LOSS, SCORE, TrainingPlot

NUCLEI = ((18, 26), (30, 26), (26, 100), (44, 76), (56, 76))
BACKGROUND = ((4, 50), (8, 60), (60, 20), (85, 100), (90, 4))


def has_color(plot, name):
    picture = plot.grab().toImage().convertToFormat(plot.grab().toImage().Format.Format_RGB32)
    buffer = picture.bits().asarray(picture.sizeInBytes())
    pixels = np.frombuffer(bytes(buffer), np.uint8).reshape(-1, 4)[:, 2::-1].astype(int)
    color = QColor(name)
    wanted = np.array([color.red(), color.green(), color.blue()])
    return bool((np.abs(pixels - wanted).max(1) < 12).any())


def test_the_loss_is_drawn_on_demand(qtbot):
    plot = TrainingPlot()
    qtbot.addWidget(plot)
    plot.resize(260, 88)
    for step in range(1, 40):
        plot.add_loss(step, 1 / step)
    assert plot.shows_loss  # there is nothing else
    assert has_color(plot, LOSS)
    plot.add_score(20, 0.4)
    plot.add_score(39, 0.8)
    assert not plot.shows_loss
    assert has_color(plot, SCORE)
    assert not has_color(plot, LOSS)
    plot._loss.click()
    assert has_color(plot, LOSS)


def test_every_live_update_with_a_score_is_a_dot(teach, qtbot):
    for pair in zip(NUCLEI, BACKGROUND, strict=True):
        for k, at in zip((1, 0), pair, strict=True):
            draw_stroke(teach, k, at)
            wait_until_idle(teach, qtbot)
    press(qtbot, teach.teach.panel._live)
    wait_until_idle(teach, qtbot)
    draw_stroke(teach, 1, (74, 38))
    wait_until_idle(teach, qtbot)
    press(qtbot, teach.teach.panel._live)
    wait_until_idle(teach, qtbot)
    live = [one for one in teach.session.versions if one.how == "live" and one.score is not None]
    assert live
    dots = [score for _, score in teach.teach.panel.curve.scores]
    assert dots == [one.score.dice for one in live]
    teach.teach.training.go_to(teach.session.versions.current)
    assert len(teach.teach.panel.curve.scores) == len(dots)
