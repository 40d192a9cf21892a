"""Trainings that start from the network that suits their images."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from napari_emcad import bundled_checkpoint, fine_tune
from napari_emcad.annotation.label_rules import LabelRule
from napari_emcad.annotation.record import Record
from napari_emcad.inference.events import Notice
from napari_emcad.inference.jobs import run_job
from napari_emcad.interactive import initial_weights
from napari_emcad.interactive.annotated_patches import AnnotatedImage, scan_annotations
from napari_emcad.interactive.familiarity import FAMILIAR, Familiarity
from napari_emcad.interactive.initial_weights import suited_task
from napari_emcad.interactive.jobs import live_update_job, training_job
from napari_emcad.interactive.plane_cache import PlaneCache
from napari_emcad.interactive.task import TrainingSettings, training_task
from napari_emcad.interactive.visible_region import VisibleRegion
from napari_emcad.io.checkpoints.general import general_checkpoint
from napari_emcad.io.checkpoints.heads import with_class_names
from napari_emcad.pipelines.segment import slices_for
from napari_emcad.training.presets import PRESETS

pytestmark = pytest.mark.usefixtures("tiny_bundled")

CONFIG = PRESETS["scribbles"].replace(crop=64, batch=1, crops_per_epoch=1)
FRESH_RATE = PRESETS["scribbles-from-nothing"].learning_rate
NEW = Familiarity(0.4)


@pytest.fixture
def other_general(monkeypatch):
    """Let the general network differ from the bundled model by one weight."""
    real = general_checkpoint()
    name = next(iter(real.tensors))
    marked = replace(real, tensors=real.tensors | {name: real.tensors[name] + 1})
    monkeypatch.setattr(initial_weights, "general_checkpoint", lambda channels=3: marked)
    return name, marked.tensors[name]


def task_of(checkpoint, classes=2, config=CONFIG, **options):
    """Return a task of an image on which one or two classes are painted."""
    image = np.random.default_rng(0).integers(0, 255, (96, 96)).astype(np.uint8)
    labels = np.zeros((96, 96), np.uint8)
    labels[10:14, 5:90] = 1
    if classes == 2:
        labels[50:54, 5:90] = 255
    source = AnnotatedImage(
        "a", "image", slices_for(image, checkpoint, "YX"), labels, LabelRule("scribbles")
    )
    record = scan_annotations([source], Record(), 1)
    return training_task(checkpoint, (source,), record, config, "cpu", **options)


def with_familiarity(monkeypatch, *values):
    """Let measurements of familiarity return these values, the last one again and again."""
    left = list(values)
    monkeypatch.setattr(
        initial_weights, "task_familiarity", lambda *_: left.pop(0) if len(left) > 1 else left[0]
    )


def suited(task):
    notices = []
    return run_job(suited_task(task, PlaneCache()), notices.append), notices


def test_unfamiliar_images_are_learned_from_the_general_network(monkeypatch, other_general):
    with_familiarity(monkeypatch, NEW)
    task = task_of(with_class_names(bundled_checkpoint(), ["crack"]), automatic=True)
    changed, (notice,) = suited(task)
    name, tensor = other_general
    np.testing.assert_array_equal(changed.checkpoint.tensors[name], tensor)
    assert changed.checkpoint.classes == task.checkpoint.classes
    assert changed.config.learning_rate == FRESH_RATE
    assert (changed.config.epochs, changed.config.crops_per_epoch) == (1, 1)
    assert changed.base is None
    assert changed.familiarity is NEW
    assert "40%" in notice.text
    assert "general network" in notice.text


def test_a_learning_rate_of_the_user_stays(monkeypatch):
    with_familiarity(monkeypatch, NEW)
    config = CONFIG.replace(learning_rate=2e-4)
    changed, _ = suited(task_of(bundled_checkpoint(), config=config, automatic=True))
    assert changed.config.learning_rate == 2e-4


@pytest.mark.parametrize("why", ["familiar", "not automatic", "own model"])
def test_other_trainings_start_from_the_open_model(monkeypatch, other_general, tmp_path, why):
    with_familiarity(monkeypatch, FAMILIAR if why == "familiar" else NEW)
    checkpoint = bundled_checkpoint()
    if why == "own model":
        checkpoint = replace(checkpoint, origin=replace(checkpoint.origin, path="mine.pth"))
    task = task_of(checkpoint, automatic=why != "not automatic")
    kept, notices = suited(task)
    assert kept.checkpoint is task.checkpoint
    assert kept.config is task.config
    assert len(notices) == (why != "familiar")
    assert not any("general network" in notice.text for notice in notices)


def test_strokes_of_one_class_say_nothing_about_familiarity(other_general):
    task = task_of(bundled_checkpoint(), classes=1, automatic=True)
    kept, notices = suited(task)
    assert kept.checkpoint is task.checkpoint
    assert not notices


def test_a_model_that_learned_strokes_upon_the_bundled_one_starts_over(monkeypatch, other_general):
    """It learned them from a start that does not suit; all strokes are learned again."""
    with_familiarity(monkeypatch, NEW)
    bundled = bundled_checkpoint()
    trained = replace(bundled, origin=replace(bundled.origin, path=""))
    changed, _ = suited(task_of(trained, base=bundled, automatic=True))
    np.testing.assert_array_equal(changed.checkpoint.tensors[other_general[0]], other_general[1])
    assert changed.base is None


def test_a_training_has_the_general_network_as_its_base(monkeypatch, other_general):
    with_familiarity(monkeypatch, NEW)
    task, events = task_of(bundled_checkpoint(), automatic=True), []
    job = training_job(
        task, TrainingSettings(CONFIG), PlaneCache(), VisibleRegion(), threading.Event()
    )
    result = run_job(job, events.append)
    np.testing.assert_array_equal(result.base.tensors[other_general[0]], other_general[1])
    assert sum("general network" in one.text for one in events if isinstance(one, Notice)) == 1


def live(trainer, task):
    """Run a live update of one step; return the trainer, the update and the notices."""
    notices = []
    job = live_update_job(trainer, task, PlaneCache(), VisibleRegion(), 0.0, threading.Event())
    trainer, update = run_job(job, notices.append)
    return trainer, update, [one.text for one in notices if isinstance(one, Notice)]


def test_live_starts_over_when_the_second_class_shows_that_images_are_new(
    monkeypatch, other_general
):
    bundled = bundled_checkpoint()
    trainer, first, notices = live(None, task_of(bundled, classes=1, automatic=True))
    assert first.base is bundled
    assert not notices
    with_familiarity(monkeypatch, NEW)
    # the next task starts from the result of the first update
    task = task_of(first.checkpoint, base=first.base, automatic=True)
    trainer, second, (notice,) = live(trainer, replace(task, record=grown(task.record)))
    assert "general network" in notice
    np.testing.assert_array_equal(second.base.tensors[other_general[0]], other_general[1])
    assert trainer._config.learning_rate == FRESH_RATE
    moved = second.checkpoint.tensors[other_general[0]] - other_general[1]
    assert np.abs(moved).max() < 0.1  # a step from the general network, not from the bundled one
    third_task = task_of(second.checkpoint, base=second.base, automatic=True)
    _, third, notices = live(trainer, replace(third_task, record=grown(third_task.record)))
    assert third.base is second.base
    assert not notices


def grown(record):
    """Return a record after one more scan."""
    return replace(record, scans=record.scans + 1)


def test_fine_tune_without_a_checkpoint_is_automatic(monkeypatch, other_general):
    with_familiarity(monkeypatch, NEW)
    image = np.random.default_rng(0).integers(0, 255, (96, 96)).astype(np.uint8)
    scribbles = np.zeros((96, 96), np.uint8)
    scribbles[10:14], scribbles[50:54] = 1, 255
    options = {"axes": "YX", "device": "cpu", "crop": 64, "batch": 1, "crops_per_epoch": 1}
    for checkpoint, count in ((None, 1), (bundled_checkpoint(), 0)):
        events = []
        fine_tune([image], [scribbles], checkpoint, on_event=events.append, **options)
        texts = [event.text for event in events if isinstance(event, Notice)]
        assert sum("general network" in text for text in texts) == count
