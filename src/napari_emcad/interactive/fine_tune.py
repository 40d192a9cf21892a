"""Strokes in, a better network and a fresh prediction out.

What is on screen is predicted while the network learns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_emcad.inference.events import Notice, Region
from napari_emcad.interactive.familiarity import met_before, new_kind, validated_every
from napari_emcad.interactive.preview import Screen, _Watch
from napari_emcad.interactive.samples import slices_of
from napari_emcad.pipelines.train import Taught, taught_checkpoint, teach

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator

    from napari_emcad.interactive.plane_cache import PlaneCache
    from napari_emcad.interactive.task import Lesson
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.training.events import Snapshot, TrainingEvent


def practise(
    lesson: Lesson, cache: PlaneCache, screen: Screen, stop: threading.Event
) -> Generator[TrainingEvent | Region | Notice, None, Taught]:
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
    learnt, tested = slices_of(lesson, cache)
    met = met_before(lesson, cache)
    if told := new_kind(met):
        yield Notice(told)
    config = lesson.suited(met)
    zoom = lesson.checkpoint.preprocessing.zoom
    config = config.changed(validate_every=validated_every(config, learnt, tested, zoom))
    watch = _Watch(lesson.checkpoint, screen, lesson.device, stop)
    return (
        yield from teach(
            lesson.checkpoint, learnt, tested, config, stop, lesson.device, watch=watch
        )
    )


def unfinished(lesson: Lesson, snapshot: Snapshot) -> Checkpoint:
    """Return the model of a training that still runs, for the case that it never ends."""
    state = snapshot.state
    weights = state["best"] or state["ema"] or state["network"]
    best = max(state["best_dice"], 0.0) if state["best"] else None
    return taught_checkpoint(
        lesson.checkpoint,
        weights,
        lesson.config,
        "recovered from an unfinished training",
        best,
        len(state["epochs"]),
    )
