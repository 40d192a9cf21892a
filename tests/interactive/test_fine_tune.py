"""Fine-tuning and live updates: settings by number of strokes, familiarity, held-out pixels."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from property_tests import examples

import napari_emcad
from napari_emcad.annotation.detect_rule import detect_rule
from napari_emcad.annotation.label_rules import UNLABELED, LabelRule, value_counts
from napari_emcad.annotation.record import Record
from napari_emcad.inference.events import Notice
from napari_emcad.interactive.annotated_patches import PATCH_SIZE, AnnotatedImage, scan_annotations
from napari_emcad.interactive.familiarity import (
    Familiarity,
    adapted_config,
    task_familiarity,
    validation_interval,
)
from napari_emcad.interactive.fine_tune import fine_tune_job
from napari_emcad.interactive.live import LiveTrainer
from napari_emcad.interactive.plane_cache import PlaneCache
from napari_emcad.interactive.samples import read_planes
from napari_emcad.interactive.task import training_task
from napari_emcad.interactive.visible_region import VisibleRegion
from napari_emcad.io.checkpoints.heads import with_class_names
from napari_emcad.pipelines.segment import slices_for
from napari_emcad.training.events import StepEnd
from napari_emcad.training.presets import PRESETS
from napari_emcad.training.pseudo_labels import PseudoLabelTeacher
from napari_emcad.training.samples import LabeledSlice
from napari_emcad.training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("tiny_bundled")

CONFIG = PRESETS["scribbles"].replace(crop=64, batch=1)


def slices_of(task, cache):
    """Return training slices and held-out slices of a task."""
    return read_planes(task, cache).split()


def familiarity_of(task):
    return task_familiarity(read_planes(task, PlaneCache()), PlaneCache())


def labels_with_strokes(strokes, values):
    """Return 96 × 128 labels with a number of strokes per value."""
    labels = np.zeros((96, 128), np.uint8)
    for number in range(strokes):
        for row, value in enumerate(values):
            labels[10 + 30 * row : 13 + 30 * row, 5 + 15 * number : 15 + 15 * number] = value
    return labels


def run_live_update(labels, config=CONFIG):
    """Run one live update and return its result."""
    checkpoint = napari_emcad.bundled_checkpoint()
    image = np.random.default_rng(0).integers(0, 255, (96, 128)).astype(np.uint8)
    source = AnnotatedImage("a", "image", slices_for(image, checkpoint, "YX"), labels, LabelRule())
    record = scan_annotations([source], Record(), 1)
    task = training_task(checkpoint, (source,), record, config, "cpu")
    live_trainer = LiveTrainer(task)
    job = live_trainer.update(task, PlaneCache(), VisibleRegion(), 0.0, threading.Event())
    while True:
        try:
            next(job)
        except StopIteration as end:
            return end.value


@pytest.mark.parametrize(
    ("teacher", "strokes", "values", "share", "ramp"),
    [
        ("ema", 4, (1,), 0.05, 0.0),
        ("ema", 1, (1, 255), 1.0, 0.0),
        ("ema", 4, (1, 255), 1.0, 1.0),
        ("probe", 4, (1,), 0.05, 0.0),
        ("probe", 1, (1, 255), 1.0, 1.0),
        ("initial", 1, (1, 255), 1.0, 1.0),
    ],
)
def test_a_live_update_uses_the_loss_weights_of_a_training(
    monkeypatch, teacher, strokes, values, share, ramp
):
    recorded, step = [], Trainer.step

    def recording(self, batch, share=1.0, seed=0, ramp=1.0):
        recorded.append((share, ramp))
        return step(self, batch, share, seed, ramp)

    monkeypatch.setattr(Trainer, "step", recording)
    update = run_live_update(labels_with_strokes(strokes, values), CONFIG.replace(teacher=teacher))
    assert recorded == [(pytest.approx(share), ramp)]
    assert update.steps == 1


def test_the_pseudo_label_teacher_depends_on_strokes_and_familiarity():
    assert adapted_config(CONFIG, 2, 20) is CONFIG
    assert adapted_config(CONFIG, 2, 20, Familiarity(0.95)).teacher == "initial"
    assert adapted_config(CONFIG, 2, 20, Familiarity(0.85)).teacher == "probe"
    assert (
        adapted_config(CONFIG, 2, 20, Familiarity(0.5), trained_before=True).teacher == "consensus"
    )
    assert (
        adapted_config(CONFIG, 2, 20, Familiarity(1.0, 0.2), trained_before=True).teacher
        == "initial"
    )
    assert (
        adapted_config(CONFIG, 2, 20, Familiarity(1.0, 0.8), trained_before=True).teacher
        == "initial"
    )
    mixed = Familiarity(1.0, 0.8, 0.3)
    assert adapted_config(CONFIG, 2, 20, mixed, trained_before=True).teacher == "consensus"
    assert adapted_config(CONFIG, 2, 20, mixed).teacher == "initial"
    assert adapted_config(CONFIG, 2, 4, mixed, trained_before=True).teacher == "initial"
    assert (
        adapted_config(CONFIG, 2, 20, Familiarity(1.0, 0.2, 0.3), trained_before=True).teacher
        == "initial"
    )
    assert adapted_config(CONFIG, 2, 4, Familiarity(0.5), trained_before=True).teacher == "probe"
    few = adapted_config(CONFIG, 2, 2)
    assert (few.teacher, few.pseudo, few.ema) == ("probe", CONFIG.pseudo, 0)
    mean = CONFIG.replace(teacher="ema")
    assert adapted_config(mean, 2, 2).pseudo == 0
    assert adapted_config(mean, 2, 20, Familiarity(1.0)) is mean
    alone = adapted_config(CONFIG, 1, 20)
    assert alone.pseudo == 0
    assert alone.learning_rate < CONFIG.learning_rate / 10


def task_on(image, right):
    """Return a task of one stroke per class that the bundled model predicts right or wrong."""
    checkpoint = napari_emcad.bundled_checkpoint()
    labels = np.zeros(image.shape, np.uint8)
    labels[10:14, 10:30], labels[60:64, 60:80] = (255, 1) if right else (1, 255)
    source = AnnotatedImage("a", "image", slices_for(image, checkpoint, "YX"), labels, LabelRule())
    record = scan_annotations([source], Record(), 2)
    return training_task(checkpoint, (source,), record, CONFIG.replace(crops_per_epoch=2), "cpu")


@pytest.fixture
def nucleus():
    """Return a bright disc on dark background, which the bundled model segments."""
    y, x = np.mgrid[:96, :128]
    return np.where((y - 62) ** 2 + (x - 70) ** 2 < 15**2, 200, 10).astype(np.uint8)


@pytest.mark.parametrize("right", [True, False])
def test_an_accurate_model_is_its_own_pseudo_label_teacher(nucleus, right):
    events, task = [], task_on(nucleus, right)
    job = fine_tune_job(task, PlaneCache(), VisibleRegion(), threading.Event())
    while True:
        try:
            events.append(next(job))
        except StopIteration as end:
            config = end.value.checkpoint.history[-1]["config"]
            break
    notices = [event.text for event in events if isinstance(event, Notice)]
    assert config["teacher"] == ("initial" if right else "probe")
    assert len(notices) == (0 if right else 1)


def test_familiarity_is_measured_with_the_opened_model(nucleus):
    task = task_on(nucleus, right=True)
    blank = replace(task.checkpoint, tensors={k: 0 * v for k, v in task.checkpoint.tensors.items()})
    assert familiarity_of(task).accuracy > 0.9
    assert familiarity_of(replace(task, base=blank)).accuracy < 0.6
    became = replace(task, checkpoint=blank, base=task.checkpoint)
    assert familiarity_of(became).accuracy > 0.9


def test_the_agreement_of_probe_and_model_depends_on_the_strokes(nucleus):
    """A probe fitted to misplaced strokes disagrees with an accurate model."""
    task = task_on(nucleus, right=True)
    assert familiarity_of(task).agreement > 0.8
    network = task.checkpoint.network().eval()
    for right, least, most in ((True, 0.8, 1.0), (False, 0.0, 0.3)):
        learned, _ = slices_of(task_on(nucleus, right), PlaneCache())
        teacher = PseudoLabelTeacher(network, CONFIG.supervision, "probe")
        assert teacher.agreement(learned, task.checkpoint.preprocessing) == 0
        teacher.fit(learned, task.checkpoint.preprocessing)
        assert least <= teacher.agreement(learned, task.checkpoint.preprocessing) <= most


def test_unfamiliar_patches_are_detected(nucleus, monkeypatch):
    """Model and probe agree at the first strokes, but differ in an unfamiliar image."""
    task = task_on(nucleus, right=True)
    assert familiarity_of(task).agreement_elsewhere == 1
    unfamiliar = np.tile(np.repeat([200, 10], 2), (96, 32)).astype(np.uint8)
    for image, mixed in ((nucleus, False), (unfamiliar, True)):
        more = slices_for(image, task.checkpoint, "YX")
        labels = np.zeros(image.shape, np.uint8)
        images = (*task.images, AnnotatedImage("b", "other", more, labels, LabelRule()))
        earlier = scan_annotations(list(images), task.record, 2)
        labels[80:84, 5:40] = 1
        record = scan_annotations(list(images), earlier, 2)
        familiarity = familiarity_of(replace(task, images=images, record=record))
        assert familiarity.is_familiar
        assert familiarity.is_mixed == mixed, familiarity


def test_later_strokes_do_not_change_the_first_strokes(nucleus):
    task = task_on(nucleus, right=True)
    labels = task.images[0].labels
    before = {key: mask.copy() for key, mask in task.record.first_strokes().items()}
    labels[80:84, 5:40] = 1
    later = scan_annotations(list(task.images), task.record, 2)
    after = later.first_strokes()
    assert before.keys() == after.keys()
    assert all((before[key] == after[key]).all() for key in before)


def test_a_large_mask_that_is_held_out_is_not_validated_after_each_epoch(nucleus):
    task = task_on(nucleus, right=True)
    crops = CONFIG.replace(crops_per_epoch=2, batch=1, crop=64)
    few = [LabeledSlice("a", np.zeros((1, 64, 64), np.float32), np.zeros((64, 64), int))]
    many = [replace(few[0], target=np.zeros((640, 640), int))] * 3
    zoom = task.checkpoint.preprocessing.zoom
    assert validation_interval(crops, few, few, zoom) <= 2
    every = validation_interval(crops, few, many, zoom)
    assert every * 2 * 64**2 >= 3 * 640**2 * zoom**2
    assert validation_interval(crops.replace(validate_every=9999), few, many, zoom) == 9999


class Workspace:
    """An image, its annotation, and the record of the annotation across scans."""

    def __init__(self, shape, checkpoint, rule=None, patch_size=PATCH_SIZE):
        self.checkpoint, self.classes = checkpoint, len(checkpoint.classes)
        self.labels = np.zeros(shape, np.uint8)
        rng = np.random.default_rng(0)
        image = (rng.random(shape) * 255).astype(np.uint8)
        slices = slices_for(image, checkpoint, "ZYX"[-len(shape) :])
        self.source = AnnotatedImage(
            "a", "image", slices, self.labels, rule or LabelRule(), patch_size=patch_size
        )
        self.record, self.cache = Record(), PlaneCache()

    def task(self, config=CONFIG):
        self.record = scan_annotations([self.source], self.record, self.classes).frozen_split()
        return training_task(self.checkpoint, (self.source,), self.record, config, "cpu")


@settings(deadline=None, max_examples=examples(60))
@given(
    st.sampled_from([None, (32, 32), (40, 60), (64, 64), (33, 47)]),
    st.sampled_from([8, 13, 1024]),
    st.lists(
        st.tuples(
            st.integers(0, 38), st.integers(0, 56), st.integers(1, 30), st.sampled_from([0, 1, 255])
        ),
        max_size=25,
    ),
)
def test_no_resized_pixel_is_both_trained_on_and_held_out(size, block, strokes):
    """Resized slices, patches of large slices, and both."""
    checkpoint = napari_emcad.bundled_checkpoint().override(size=size)
    workspace = Workspace((40, 60), checkpoint, patch_size=block)
    learned, validated = {}, {}
    for y, x, length, value in strokes:
        workspace.labels[y : y + 2, x : x + length] = value
        task = workspace.task()
        for key in task.record.patches:
            alone = replace(task, record=task.record.subset([key]))
            for masks, parts in zip(
                (learned, validated), slices_of(alone, workspace.cache), strict=True
            ):
                for part in parts:
                    assert part.planes.shape[1:] == part.target.shape
                    before = masks.get(key, False)
                    masks[key] = before | (part.target != UNLABELED)
    for key_of_both in learned.keys() & validated.keys():
        assert not (learned[key_of_both] & validated[key_of_both]).any()


def test_patches_of_a_resized_slice_have_the_scale_of_the_whole_slice():
    checkpoint = napari_emcad.bundled_checkpoint().override(size=(48, 96))
    workspace = Workspace((96, 128), checkpoint, patch_size=32)
    workspace.labels[::5, ::7] = 1
    (learned, validated) = slices_of(workspace.task(), workspace.cache)
    assert {part.target.shape for part in (*learned, *validated)} == {(16, 24)}


def run(job):
    """Run a job; return its events and its result."""
    events = []
    while True:
        try:
            events.append(next(job))
        except StopIteration as end:
            return events, end.value


def workspace_of_kind(kind):
    """Return an annotated workspace: resized slices, patches of a large image, or both."""
    start = napari_emcad.bundled_checkpoint()
    if kind != "windows":
        start = start.override(size=(64, 96))
    shape = (2, 96, 128) if kind == "windows" else (96, 128)
    workspace = Workspace(shape, start, patch_size=PATCH_SIZE if kind == "resized" else 40)
    for number in range(12):
        column = 2 + 10 * number
        for row, value in ((10, 1), (50, 255)):
            workspace.labels[..., row : row + 6, column : column + 6] = value
            workspace.task()
    return workspace


@pytest.mark.parametrize("kind", ["resized", "windows", "resized windows"])
def test_training_and_live_update_use_and_score_every_patch(kind):
    workspace = workspace_of_kind(kind)
    task = workspace.task(CONFIG.replace(epochs=1, crops_per_epoch=2, pool=None))
    learned, validated = slices_of(task, workspace.cache)
    assert len(learned) >= (1 if kind == "resized" else 4)
    stop = threading.Event()
    events, result = run(fine_tune_job(task, workspace.cache, VisibleRegion(), stop))
    assert sum(isinstance(event, StepEnd) for event in events) == 2
    (end,) = result.course.epochs
    assert 0 <= end.dice <= 1
    assert all(np.isfinite(tensor).all() for tensor in result.checkpoint.tensors.values())
    live_trainer = LiveTrainer(task)
    _, update = run(live_trainer.update(task, workspace.cache, VisibleRegion(), 0.0, stop))
    assert update.score is not None
    assert sum(int((part.target != UNLABELED).sum()) for part in validated) > 0


@pytest.mark.parametrize("kind", ["resized", "windows", "resized windows"])
def test_no_batch_contains_held_out_pixels(kind, monkeypatch):
    """Held-out pixels get their own class, which only the validation slices may contain."""
    workspace = workspace_of_kind(kind)
    task = workspace.task(CONFIG.replace(epochs=1, crops_per_epoch=8, pool=None))
    patches = {
        key: replace(patch, target=np.where(patch.held_out, np.int16(2), patch.target))
        for key, patch in task.record.patches.items()
    }
    record, recorded = replace(task.record, patches=patches), set()

    def step(self, batch, *_, **__):
        recorded.update(batch.target.unique().tolist())
        return 0.0

    monkeypatch.setattr(Trainer, "step", step)
    monkeypatch.setattr("napari_emcad.training.loop.validate", lambda *_: ())
    run(
        fine_tune_job(
            replace(task, record=record), workspace.cache, VisibleRegion(), threading.Event()
        )
    )
    assert recorded == {UNLABELED, 0, 1}
    _, validated = slices_of(replace(task, record=record), workspace.cache)
    assert {k for part in validated for k in np.unique(part.target).tolist()} == {UNLABELED, 2}


@pytest.mark.parametrize("values", [(0, 1, 2, 3), (0, 85, 170, 255)])
def test_masks_of_several_classes_are_used_completely(values):
    start = with_class_names(napari_emcad.bundled_checkpoint(), ("a", "b", "c"))
    labels = np.zeros((96, 128), np.uint8)
    for k, value in enumerate(values):
        labels[24 * k : 24 * (k + 1)] = value
    rule = detect_rule(value_counts(labels), 3).rule
    workspace = Workspace((96, 128), start, rule)
    workspace.labels[...] = labels
    task = workspace.task(CONFIG.replace(epochs=1, crops_per_epoch=2, pool=None))
    assert task.record.pixel_counts == dict.fromkeys(range(4), 24 * 128)
    assert set(task.record.held_out_counts) == set(range(4))
    assert not task.record.why_no_score()
    events, result = run(fine_tune_job(task, workspace.cache, VisibleRegion(), threading.Event()))
    assert result.checkpoint.config.num_classes == 4
    assert result.course.epochs[-1].dice is not None
    assert all(np.isfinite(event.loss) for event in events if isinstance(event, StepEnd))
