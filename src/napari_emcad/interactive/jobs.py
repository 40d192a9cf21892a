"""Jobs of the annotate and fine-tune loop that run in a thread: scan, training, live update.

torch is imported when a training or an update first runs, not with this module.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_emcad.inference.events import InferenceSettings, Progress
from napari_emcad.inference.jobs import relay_job, run_job
from napari_emcad.interactive.annotated_patches import AnnotatedImage, scan_annotations
from napari_emcad.interactive.instant_events import ScoredInstant, Shown
from napari_emcad.training.events import Snapshot, StepEnd

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Iterator

    from napari_emcad.annotation.record import Record
    from napari_emcad.interactive.instant import InstantTrainer
    from napari_emcad.interactive.live import LiveTrainer, LiveUpdate
    from napari_emcad.interactive.plane_cache import PlaneCache
    from napari_emcad.interactive.task import TrainingSettings, TrainingTask
    from napari_emcad.interactive.visible_region import VisibleRegion
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.io.checkpoints.instant_model import InstantModel
    from napari_emcad.pipelines.train import TrainResult


@dataclass(frozen=True, slots=True, eq=False)
class UnfinishedModel:
    """Event: the model of a training that still runs, to be saved in case of a crash."""

    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True, eq=False)
class FineTuned:
    """Result of a training with annotations.

    Attributes
    ----------
    result
        Trained checkpoint and course of the training.
    uncertainty
        Mean entropy of the predictions on held-out pixels, 0 … 1; None if it could not be computed.
    base
        The model before it learned anything of the annotations.
    instant
        Instant model of the same strokes; None if it could not be scored.
    """

    result: TrainResult
    uncertainty: float | None
    base: Checkpoint
    instant: ScoredInstant | None = None


def scan_job(
    images: tuple[AnnotatedImage, ...], record: Record, classes: int
) -> Generator[Any, None, Record | None]:
    """Return the record after a new scan of the annotations, or None if nothing changed."""
    yield from ()
    updated = scan_annotations(images, record, classes)
    before, after = record.patches, updated.patches
    unchanged = before.keys() == after.keys() and all(before[key] is after[key] for key in after)
    return None if unchanged else updated


def training_job(
    task: TrainingTask,
    settings: TrainingSettings,
    cache: PlaneCache,
    visible: VisibleRegion,
    stop: threading.Event,
) -> Generator[Any, None, FineTuned]:
    """Train a task from the weights that the settings name.

    Yields `Progress`, `UnfinishedModel` and the events of `fine_tune_job`.
    """
    from napari_emcad.interactive.fine_tune import fine_tune_job, snapshot_checkpoint
    from napari_emcad.interactive.initial_weights import initial_checkpoint, suited_task

    checkpoint = yield from initial_checkpoint(task.checkpoint, settings, stop)
    if checkpoint is not task.checkpoint:
        task = task.with_checkpoint(checkpoint)
    task = yield from suited_task(task, cache)

    def with_progress(event: Any) -> Iterator[Any]:
        if isinstance(event, Snapshot):
            yield UnfinishedModel(snapshot_checkpoint(task, event))
            return
        yield event
        if isinstance(event, StepEnd):
            yield Progress(event.step, event.total)

    result = yield from relay_job(fine_tune_job(task, cache, visible, stop), with_progress)
    uncertainty = _held_out_uncertainty(task, result.checkpoint, stop)
    instant = _scored_instant(task, stop)
    return FineTuned(result, uncertainty, task.base or task.checkpoint, instant)


def live_update_job(
    trainer: LiveTrainer | None,
    task: TrainingTask,
    cache: PlaneCache,
    visible: VisibleRegion,
    seconds: float,
    stop: threading.Event,
) -> Generator[Any, None, tuple[LiveTrainer, LiveUpdate]]:
    """Train for some seconds and return the live trainer and its `LiveUpdate`.

    Parameters
    ----------
    trainer
        Live trainer of the update before; None makes one.
    task, cache, visible, seconds, stop
        See `LiveTrainer.update`.
    """
    from napari_emcad.interactive.live import LiveTrainer

    trainer = trainer or LiveTrainer(task)
    update = yield from trainer.update(task, cache, visible, seconds, stop)
    return trainer, update


def instant_update_job(
    trainer: InstantTrainer | None,
    task: TrainingTask,
    visible: VisibleRegion,
    stop: threading.Event,
) -> Generator[Any, None, tuple[InstantTrainer, InstantModel | None]]:
    """Fit an instant model and predict the visible part; return its trainer and the model.

    The fastest probe is fitted and shown first, and all of them refine it.

    Parameters
    ----------
    trainer
        Trainer of the update before, which keeps features; None makes one.
    task, visible, stop
        See `InstantTrainer`; `stop` ends the job after the current tile.
    """
    from napari_emcad.interactive.instant import InstantTrainer

    trainer = trainer or InstantTrainer(task.device)
    model = trainer.fit(task, first=True)
    if model is None:
        return trainer, None
    yield Shown("instant")
    yield from trainer.predict(model, visible, stop)
    if not stop.is_set():
        first, model = model, trainer.fit(task)
        if model is not None and len(model.probe.members) > len(first.probe.members):
            yield from trainer.predict(model, visible, stop)
    return trainer, model


def _scored_instant(task: TrainingTask, stop: threading.Event) -> ScoredInstant | None:
    """Return an instant model to compare with; a failure here must not lose the training."""
    from napari_emcad.interactive.instant import scored_instant

    with suppress(RuntimeError, ValueError, MemoryError, OSError):
        return scored_instant(task, stop)
    return None


def _held_out_uncertainty(
    task: TrainingTask, checkpoint: Checkpoint, stop: threading.Event
) -> float | None:
    """Return the mean entropy of a model on held-out pixels; None if it cannot be computed.

    It takes as long as one validation. A failure here must not lose the training.
    """
    from napari_emcad.interactive.held_out import held_out_predictions

    if not task.held_out_pixels or stop.is_set():
        return None
    settings = InferenceSettings(device=task.device)
    with suppress(RuntimeError, ValueError, MemoryError, OSError):
        predictions = run_job(
            held_out_predictions(checkpoint, task.images, task.record, settings, stop)
        )
        return None if predictions is None else predictions.mean_entropy
    return None
