"""Instant models of scribbles on arrays, and how Live chooses between them and the network."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

import napari_emcad
from napari_emcad.annotation.label_rules import LabelRule
from napari_emcad.annotation.record import Record
from napari_emcad.imaging.slices import as_slices
from napari_emcad.inference.events import Region
from napari_emcad.inference.jobs import run_job
from napari_emcad.interactive import initial_weights
from napari_emcad.interactive.annotated_patches import AnnotatedImage, scan_annotations
from napari_emcad.interactive.familiarity import FAMILIAR, UNFAMILIAR
from napari_emcad.interactive.instant import InstantTrainer, instant_preprocessing
from napari_emcad.interactive.instant_events import Shown
from napari_emcad.interactive.jobs import instant_update_job
from napari_emcad.interactive.live import LiveTrainer
from napari_emcad.interactive.plane_cache import PlaneCache
from napari_emcad.interactive.task import training_task
from napari_emcad.interactive.visible_region import VisibleRegion
from napari_emcad.io.checkpoints.feature_extractors import bundled_feature_extractor
from napari_emcad.training.presets import PRESETS


def striped(seed=0, shape=(96, 128), value=100):
    """Return an image whose object is a patch of stripes of the same mean brightness."""
    rng = np.random.default_rng(seed)
    truth = np.zeros(shape, bool)
    truth[24:72, 40:100] = True
    stripes = 40 * (np.indices(shape)[1] // 2 % 2 * 2 - 1)
    image = value + np.where(truth, stripes, 0) + rng.normal(0, 6, shape)
    return image.clip(0, 255).astype(np.uint8), truth


def scribbles_of(truth):
    scribbles = np.zeros(truth.shape, np.uint8)
    scribbles[40:46, 50:90], scribbles[6:12, 10:110] = 1, 255
    return scribbles


def dice(labels, truth):
    return 2 * np.count_nonzero((labels > 0) & truth) / (np.count_nonzero(labels) + truth.sum())


def test_texture_is_learned_from_two_strokes_and_found_in_another_image():
    image, truth = striped()
    model = napari_emcad.fit_instant([image], [scribbles_of(truth)], classes=["stripes"])
    assert [label.name for label in model.classes] == ["stripes"]
    other, _ = striped(1)
    for pixels in (image, other):
        result = napari_emcad.segment(pixels, model)
        assert result.labels.shape == truth.shape
        assert dice(result.labels, truth) > 0.9


def test_three_classes_and_color():
    image, truth = striped()
    color = np.stack([image, image, np.full_like(image, 60)], -1)
    color[80:, :, 2] = 200
    scribbles = scribbles_of(truth)
    scribbles[86:92, 10:100] = 2
    model = napari_emcad.fit_instant([color], [scribbles], classes=["stripes", "blue"])
    labels = napari_emcad.segment(color, model).labels
    assert (labels[84:, :] == 2).mean() > 0.9
    assert (labels[28:68, 44:96] == 1).mean() > 0.9


@pytest.mark.parametrize("factor", [1, 100])
def test_the_range_of_intensities_does_not_matter(factor):
    image, truth = striped()
    pixels = image.astype(np.uint16) * factor
    model = napari_emcad.fit_instant([pixels], [scribbles_of(truth)])
    assert dice(napari_emcad.segment(pixels, model).labels, truth) > 0.9


@pytest.mark.parametrize("shape", [(1, 8), (8, 9), (20, 24), (33, 65)])
def test_images_that_are_smaller_than_a_position_of_the_deepest_map(shape):
    image = np.zeros(shape, np.uint8)
    image[:, shape[1] // 2 :] = 200
    scribbles = np.zeros(shape, np.uint8)
    scribbles[0, -1], scribbles[0, 0] = 1, 255
    model = napari_emcad.fit_instant([image], [scribbles])
    labels = napari_emcad.segment(image, model).labels
    assert (labels[0, -1], labels[0, 0]) == (1, 0)


def test_a_constant_image_gives_some_result():
    image, scribbles = np.full((40, 40), 7, np.uint8), np.zeros((40, 40), np.uint8)
    scribbles[3, 3], scribbles[9, 9] = 1, 255
    model = napari_emcad.fit_instant([image], [scribbles])
    assert napari_emcad.segment(image, model).labels.shape == image.shape


def test_one_class_is_refused_with_what_to_do():
    image, truth = striped()
    with pytest.raises(ValueError, match="at least two classes"):
        napari_emcad.fit_instant([image], [np.where(truth, 1, 0).astype(np.uint8)])


def test_values_that_a_checkpoint_takes_as_they_are_are_normalized(tiny_checkpoint):
    extractor = bundled_feature_extractor()
    preprocessing = instant_preprocessing(tiny_checkpoint.override(intensity="none"), extractor)
    assert preprocessing.intensity == "percentile"
    assert preprocessing.zoom == 1
    assert preprocessing.mean == extractor.mean
    fixed = tiny_checkpoint.override(intensity="range", low=-200, high=300, size=256)
    preprocessing = instant_preprocessing(fixed, extractor)
    assert (preprocessing.low, preprocessing.high, preprocessing.size) == (-200, 300, None)


@pytest.fixture
def task(tiny_checkpoint):
    """Return a training task of two strokes."""
    image, truth = striped()
    slices = as_slices(image, 3)
    annotated = AnnotatedImage(0, "stripes", slices, scribbles_of(truth), LabelRule("scribbles"))
    record = scan_annotations((annotated,), Record(), 1).frozen_split()
    config = PRESETS["scribbles"].replace(crop=64, mixed_precision=False)
    return training_task(tiny_checkpoint, (annotated,), record, config, "cpu")


def test_a_model_with_one_input_and_one_with_a_fixed_size(task, tiny_encoder):
    """Instant does not depend on what the open model expects."""
    for changes in ({"input_channels": 1}, {}):
        start = napari_emcad.initialize_checkpoint(encoder=tiny_encoder, **changes)
        image = replace(task.images[0], slices=as_slices(striped()[0], start.config.input_channels))
        other = training_task(start, (image,), task.record, task.config, "cpu")
        model = InstantTrainer("cpu").fit(other)
        region = visible(other)
        regions = list(InstantTrainer("cpu").predict(model, region, threading.Event()))
        assert dice(regions[-1].labels, striped()[1]) > 0.9


def visible(task):
    region = VisibleRegion()
    region.slices = task.images[0].slices
    return region


def live_events(trainer, task):
    events = []
    stop = threading.Event()
    job = trainer.update(task, PlaneCache(), visible(task), 0.0, stop)
    run_job(job, events.append)
    return [event for event in events if isinstance(event, (Shown, Region))]


def test_live_shows_instant_first_where_the_model_is_new(task, monkeypatch):
    monkeypatch.setattr(initial_weights, "task_familiarity", lambda *_: UNFAMILIAR)
    events = live_events(LiveTrainer(task), task)
    assert [event.source for event in events if isinstance(event, Shown)] == ["instant"]
    assert any(isinstance(event, Region) for event in events)


def test_live_shows_the_model_where_it_knows_the_images(task, monkeypatch):
    monkeypatch.setattr(initial_weights, "task_familiarity", lambda *_: FAMILIAR)
    events = live_events(LiveTrainer(task), task)
    assert [event.source for event in events if isinstance(event, Shown)] == ["model"]


@pytest.mark.parametrize(
    ("instant_dice", "sources"), [(0.9, ["instant"]), (0.1, ["model"]), (None, ["instant"])]
)
def test_held_out_strokes_choose(task, monkeypatch, instant_dice, sources):
    monkeypatch.setattr(initial_weights, "task_familiarity", lambda *_: UNFAMILIAR)
    trainer = LiveTrainer(task)
    trainer._dice, trainer._instant_dice = 0.5, instant_dice
    events = live_events(trainer, task)
    shown = [event for event in events if isinstance(event, Shown)]
    assert [event.source for event in shown] == sources
    assert ("0.50 of the model" in shown[0].message) == (instant_dice is not None)


def test_the_score_is_of_held_out_strokes_alone(task):
    truth = striped()[1]
    scribbles = scribbles_of(truth)
    for row in range(50, 70, 5):
        scribbles[row : row + 3, 45:95] = 1
    for row in range(76, 96, 5):
        scribbles[row : row + 3, 5:120] = 255
    annotated = replace(task.images[0], labels=scribbles)
    record = scan_annotations((annotated,), Record(), 1).frozen_split()
    assert not record.why_no_score()
    full = training_task(task.checkpoint, (annotated,), record, task.config, "cpu")
    trainer = InstantTrainer("cpu")
    model = trainer.fit(full)
    assert trainer.score(model, full, threading.Event()) > 0.9
    stopped = threading.Event()
    stopped.set()
    assert trainer.score(model, full, stopped) is None


def test_the_fastest_probe_predicts_first_and_then_all(task):
    trainer, region, stop = InstantTrainer("cpu"), visible(task), threading.Event()
    events: list = []
    _, model = run_job(instant_update_job(trainer, task, region, stop), events.append)
    first, both = [event for event in events if isinstance(event, Region)]
    assert not np.array_equal(first.labels, both.labels)
    expected = napari_emcad.segment(striped()[0], model, stretch=False)
    assert np.array_equal(both.labels.squeeze(), expected.labels)
    (only,) = trainer.predict(trainer.fit(task, first=True), region, stop)
    assert np.array_equal(only.labels, first.labels)


def test_a_prediction_that_is_stopped_shows_the_first_one(task):
    trainer, stop = InstantTrainer("cpu"), threading.Event()
    job = instant_update_job(trainer, task, visible(task), stop)
    events = []

    def stop_after_the_first(event):
        events.append(event)
        if isinstance(event, Region):
            stop.set()

    _, model = run_job(job, stop_after_the_first)
    assert len([event for event in events if isinstance(event, Region)]) == 1
    assert len(model.probe.members) == 1


def test_thin_strokes_have_one_probe(tiny_checkpoint):
    image, truth = striped()
    thin = np.zeros(truth.shape, np.uint8)
    thin[40, 50:90], thin[6, 10:110] = 1, 255
    model = napari_emcad.fit_instant([image], [thin])
    assert model.probe.zooms == (2.0,)
    assert napari_emcad.fit_instant([image], [scribbles_of(truth)]).probe.zooms == (1.0, 2.0)
