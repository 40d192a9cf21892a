"""Fine-tuning with annotations: strokes in, a trained checkpoint and predictions out."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_emcad.annotation.label_rules import LabelRule
from napari_emcad.annotation.record import Record
from napari_emcad.inference.jobs import run_job
from napari_emcad.interactive.annotated_patches import AnnotatedImage, scan_annotations
from napari_emcad.interactive.familiarity import adapted_config, validation_interval
from napari_emcad.interactive.initial_weights import suited_task
from napari_emcad.interactive.plane_cache import PlaneCache
from napari_emcad.interactive.preview import PreviewSchedule
from napari_emcad.interactive.samples import read_planes
from napari_emcad.interactive.task import range_notice, training_task
from napari_emcad.interactive.visible_region import VisibleRegion
from napari_emcad.io.checkpoints.files import bundled_checkpoint
from napari_emcad.io.checkpoints.heads import with_class_names
from napari_emcad.pipelines.arrays import pair_arrays
from napari_emcad.pipelines.segmentation_model import check_checkpoint
from napari_emcad.pipelines.train import train_job, trained_checkpoint
from napari_emcad.pipelines.warn import warn_if_out_of_range
from napari_emcad.training.presets import preset_config

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

    from napari_emcad.inference.events import Notice, Region
    from napari_emcad.interactive.task import TrainingTask
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.pipelines.train import TrainResult
    from napari_emcad.training.config import TrainingConfig
    from napari_emcad.training.events import Snapshot, TrainingEvent


def fine_tune_job(
    task: TrainingTask, cache: PlaneCache, visible: VisibleRegion, stop: threading.Event
) -> Generator[TrainingEvent | Region | Notice, None, TrainResult]:
    """Train a private copy of the task's network.

    Parameters
    ----------
    task
        Training task; `suited_task` chooses its start unless its familiarity is known.
    cache
        Holds pixels of annotated patches for the next task.
    visible
        Visible part of an image, predicted now and then; its `Region` events are yielded.
    stop
        Ends the training after the current step; the best weights so far are returned.

    Raises
    ------
    ValueError
        If nothing is annotated.
    """
    if notice := range_notice(task):
        yield notice
    if task.familiarity is None:
        task = yield from suited_task(task, cache)
    assert task.familiarity is not None
    training, held_out = read_planes(task, cache).split()
    config = adapted_config(
        task.config, task.classes, task.strokes, task.familiarity, task.base is not None
    )
    zoom = task.checkpoint.preprocessing.zoom
    config = config.replace(validate_every=validation_interval(config, training, held_out, zoom))
    preview = PreviewSchedule(task.checkpoint, visible, task.device, stop)
    return (
        yield from train_job(
            task.checkpoint, training, held_out, config, stop, task.device, preview=preview
        )
    )


def snapshot_checkpoint(task: TrainingTask, snapshot: Snapshot) -> Checkpoint:
    """Return the checkpoint of a training that still runs, to be saved in case of a crash."""
    state = snapshot.state
    weights = state["best"] or state["ema"] or state["network"]
    best = max(state["best_dice"], 0.0) if state["best"] else None
    return trained_checkpoint(
        task.checkpoint,
        weights,
        task.config,
        "recovered from an unfinished training",
        best,
        len(state["epochs"]),
    )


def fine_tune(
    images: Iterable[Any],
    scribbles: Iterable[Any],
    checkpoint: Checkpoint | None = None,
    axes: str | None = None,
    device: str = "auto",
    *,
    classes: Sequence[str] | None = None,
    preset: str = "scribbles",
    stop: threading.Event | None = None,
    on_event: Callable[[Any], object] | None = None,
    **settings: Any,
) -> TrainResult:
    """Train a copy of a checkpoint on scribbles, as the Teach tab does.

    Every fifth stroke of a class is held out, and the score on held-out pixels selects the best
    epoch.

    Parameters
    ----------
    images
        Image arrays, as `segment` takes them.
    scribbles
        Integer arrays, one per image, of its shape without channels: class k is k, 255 is the
        background, and 0 is unlabeled.
    checkpoint
        Checkpoint to start from; it does not change. None starts from the bundled model, or from
        the general network if the bundled one predicts the first strokes wrongly.
    axes
        A letter per axis of every image; None guesses as `segment` does.
    device
        ``"auto"``, ``"cuda"``, ``"mps"`` or ``"cpu"``.
    classes
        Names of the classes, if they are not those of the checkpoint.
    preset
        Name of a training configuration; see `napari_emcad.training.presets.PRESETS`.
    stop
        Set it from another thread to end after the current step with the best weights so far.
    on_event
        Called with the events of the training.
    **settings
        Single settings of the configuration, such as ``crops_per_epoch=80``.

    Returns
    -------
    TrainResult
        The trained checkpoint and the course of the training.

    Raises
    ------
    LabelValueError
        If a scribble is no class of the checkpoint.
    ValueError
        If nothing is annotated, arrays do not match, or a setting is unknown or out of bounds.
    """
    config = preset_config(preset, **settings)
    start = bundled_checkpoint() if checkpoint is None else checkpoint
    task = scribble_task(images, scribbles, start, axes, classes, config, device)
    task = replace(task, automatic=checkpoint is None)
    job = fine_tune_job(task, PlaneCache(), VisibleRegion(), stop or threading.Event())

    def report(event: Any) -> None:
        warn_if_out_of_range(event)
        if on_event is not None:
            on_event(event)

    return run_job(job, report)


def scribble_task(
    images: Iterable[Any],
    scribbles: Iterable[Any],
    checkpoint: Checkpoint,
    axes: str | None,
    classes: Sequence[str] | None,
    config: TrainingConfig,
    device: str,
) -> TrainingTask:
    """Return the task to learn scribbles on arrays; see `fine_tune` for parameters and errors."""
    check_checkpoint(checkpoint)
    start = checkpoint if classes is None else with_class_names(checkpoint, classes)
    annotated = tuple(
        AnnotatedImage(number, name, slices, labels, LabelRule("scribbles"))
        for number, (name, slices, labels) in enumerate(pair_arrays(images, scribbles, start, axes))
    )
    record = scan_annotations(annotated, Record(), len(start.classes)).frozen_split()
    if not record.pixel_counts:
        raise ValueError("Nothing is annotated: all scribbles are 0.")
    return training_task(start, annotated, record, config, device)
