"""Fine-tuning with annotations: strokes in, a trained checkpoint and predictions out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_emcad.inference.events import Notice
from napari_emcad.interactive.familiarity import (
    adapted_config,
    task_familiarity,
    unfamiliar_message,
    validation_interval,
)
from napari_emcad.interactive.preview import PreviewSchedule
from napari_emcad.interactive.samples import read_planes
from napari_emcad.pipelines.train import train_job, trained_checkpoint

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator

    from napari_emcad.inference.events import Region
    from napari_emcad.interactive.plane_cache import PlaneCache
    from napari_emcad.interactive.task import TrainingTask
    from napari_emcad.interactive.visible_region import VisibleRegion
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.pipelines.train import TrainResult
    from napari_emcad.training.events import Snapshot, TrainingEvent


def fine_tune_job(
    task: TrainingTask, cache: PlaneCache, visible: VisibleRegion, stop: threading.Event
) -> Generator[TrainingEvent | Region | Notice, None, TrainResult]:
    """Train a private copy of the task's network.

    Parameters
    ----------
    task
        Training task.
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
    planes = read_planes(task, cache)
    training, held_out = planes.split()
    familiarity = task_familiarity(planes, cache)
    if message := unfamiliar_message(familiarity):
        yield Notice(message)
    trained_before = task.base is not None
    config = adapted_config(task.config, task.classes, task.strokes, familiarity, trained_before)
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
