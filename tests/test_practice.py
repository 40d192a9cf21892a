"""Strokes are learnt as suits how many there are."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import napari_emcad
from napari_emcad.imaging.paint import LabelRule
from napari_emcad.imaging.strokes import Record
from napari_emcad.jobs import Screen, slices_for
from napari_emcad.painting import Painted, PlaneCache, targets
from napari_emcad.practice import Lesson, Tutor, suited
from napari_emcad.training.config import PRESETS
from napari_emcad.training.learner import Learner

CONFIG = PRESETS["scribbles"].changed(crop=64, batch=1)


def painted(strokes, values):
    """Return 96 × 128 labels with so many strokes of each value."""
    labels = np.zeros((96, 128), np.uint8)
    for place in range(strokes):
        for row, value in enumerate(values):
            labels[10 + 30 * row : 13 + 30 * row, 5 + 15 * place : 15 + 15 * place] = value
    return labels


def taught(labels):
    """Return shares of the rate and of the pseudo-labels in one live update."""
    checkpoint = napari_emcad.bundled_checkpoint()
    image = np.random.default_rng(0).integers(0, 255, (96, 128)).astype(np.uint8)
    source = Painted("a", "image", slices_for(image, checkpoint, "YX"), labels, LabelRule())
    record = Record().looked(targets([source], 1))
    lesson = Lesson(checkpoint, (source,), record, CONFIG, "cpu")
    tutor = Tutor(checkpoint, CONFIG, "cpu")
    job = tutor.update(lesson, PlaneCache(), Screen(), 0.0, threading.Event())
    while True:
        try:
            next(job)
        except StopIteration as ended:
            return ended.value


@pytest.mark.parametrize(
    ("strokes", "values", "share", "ramp"),
    [(4, (1,), 0.05, 0.0), (1, (1, 255), 1.0, 0.0), (4, (1, 255), 1.0, 1.0)],
)
def test_live_mode_learns_as_a_training_would(monkeypatch, strokes, values, share, ramp):
    seen, learn = [], Learner.learn

    def noted(self, batch, share=1.0, seed=0, ramp=1.0):
        seen.append((share, ramp))
        return learn(self, batch, share, seed, ramp)

    monkeypatch.setattr(Learner, "learn", noted)
    update = taught(painted(strokes, values))
    assert seen == [(pytest.approx(share), ramp)]
    assert update.steps == 1


def test_few_strokes_are_learnt_without_pseudo_labels_and_one_class_hardly():
    assert suited(CONFIG, 2, 20) is CONFIG
    assert suited(CONFIG, 2, 2).pseudo == 0
    alone = suited(CONFIG, 1, 20)
    assert alone.pseudo == 0
    assert alone.learning_rate < CONFIG.learning_rate / 10
