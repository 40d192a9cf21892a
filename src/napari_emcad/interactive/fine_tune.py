"""Strokes in, a better network and a fresh prediction out.

What is on screen is predicted while the network learns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_emcad.inference.events import Notice, Region
from napari_emcad.interactive.familiarity import (
    task_familiarity,
    unfamiliar_message,
    validated_every,
)
from napari_emcad.interactive.preview import PreviewCallback, VisibleRegion
from napari_emcad.interactive.samples import slices_of
from napari_emcad.pipelines.train import TrainResult, teach, trained_checkpoint

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator

    from napari_emcad.interactive.plane_cache import PlaneCache
    from napari_emcad.interactive.task import TrainingTask
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.training.events import Snapshot, TrainingEvent


def fine_tune_job(
    lesson: TrainingTask, cache: PlaneCache, screen: VisibleRegion, stop: threading.Event
) -> Generator[TrainingEvent | Region | Notice, None, TrainResult]:
    """Fine-tune a private copy on what was painted.

    Parameters
    ----------
    lesson
        What to learn.
    cache
        Keeps pixels for the next lesson.
    screen
        What is predicted now and then, as regions of its image.
    stop
        Ends after the current step; the best so far is returned.

    Raises
    ------
    ValueError
        If nothing is painted.
    """
    learned, tested = slices_of(lesson, cache)
    met = task_familiarity(lesson, cache)
    if told := unfamiliar_message(met):
        yield Notice(told)
    config = lesson.adapted_config(met)
    zoom = lesson.checkpoint.preprocessing.zoom
    config = config.replace(validate_every=validated_every(config, learned, tested, zoom))
    watch = PreviewCallback(lesson.checkpoint, screen, lesson.device, stop)
    return (
        yield from teach(
            lesson.checkpoint, learned, tested, config, stop, lesson.device, watch=watch
        )
    )


def unfinished(lesson: TrainingTask, snapshot: Snapshot) -> Checkpoint:
    """Return the model of a training that still runs, for the case that it never ends."""
    state = snapshot.state
    weights = state["best"] or state["ema"] or state["network"]
    best = max(state["best_dice"], 0.0) if state["best"] else None
    return trained_checkpoint(
        lesson.checkpoint,
        weights,
        lesson.config,
        "recovered from an unfinished training",
        best,
        len(state["epochs"]),
    )
