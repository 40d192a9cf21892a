"""Adds the results of trainings and live updates to the session as versions."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info
from superqt.utils import ensure_main_thread

from napari_emcad.io.checkpoints.sniff import CheckpointError
from napari_emcad.plugin.teach.training_summary import best_epoch
from napari_emcad.training.events import HeldOut

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_emcad.interactive.jobs import FineTuned
    from napari_emcad.interactive.live import LiveUpdate
    from napari_emcad.interactive.session import Session
    from napari_emcad.interactive.task import TrainingTask
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.plugin.autosave.saver import AutosaveSaver
    from napari_emcad.plugin.runner.thread import Outcome


def add_trained(session: Session, task: TrainingTask, fine_tuned: FineTuned) -> str:
    """Use the result of a training as a new version.

    Returns
    -------
    str
        The advice to use the instant model, which the session keeps, if that is better; or "".
    """
    held_out = task.held_out_pixels
    best = best_epoch(fine_tuned.result.course) if held_out else None
    session.add_version(
        "trained",
        fine_tuned.result.checkpoint,
        task.strokes,
        None if best is None else HeldOut(best.dice or 0.0, best.iou or 0.0),
        held_out,
        fine_tuned.uncertainty,
        fine_tuned.base,
    )
    instant = fine_tuned.instant
    if instant is None or best is None or instant.dice <= (best.dice or 0.0):
        return ""
    session.set_instant(instant.model)
    return (
        f"Instant predicts them better (Dice {instant.dice:.3f}): choose it under Model on the "
        "Segment tab."
    )


def add_updated(session: Session, task: TrainingTask, update: LiveUpdate) -> None:
    """Use the result of a live update as a new version."""
    held_out = task.held_out_pixels if update.score is not None else 0
    session.add_version(
        "live",
        update.checkpoint,
        task.strokes,
        update.score if held_out else None,
        held_out,
        base=update.base,
    )


def keep_trained(
    session: Session, saver: AutosaveSaver, task: TrainingTask, steps: int
) -> Callable[[Outcome], None]:
    """Return a function that keeps the result of a training whose panel was closed; see `run`.

    The next panel offers to continue it; `steps` is its number of steps.
    """

    def add(result: FineTuned) -> None:
        session.steps_left = steps_left(result, steps)  # shown when the version is added
        add_trained(session, task, result)

    return _keeper(
        saver,
        lambda result: result.result.checkpoint,
        add,
        "The training was stopped because its panel was closed. The panel offers to continue it "
        "when you open it again; the model that it made so far is in the list of versions.",
        lambda result: steps_left(result, steps),
    )


def steps_left(fine_tuned: FineTuned, steps: int) -> int:
    """Return how many steps a training that was stopped has not taken, counted in whole epochs."""
    course = fine_tuned.result.course
    if course.ending != "stopped":
        return 0
    last = course.epochs[-1] if course.epochs else None
    done = 0 if last is None else steps * last.epoch // last.total
    return max(steps - done, 1)


def keep_updated(
    session: Session, saver: AutosaveSaver, task: TrainingTask
) -> Callable[[Outcome], None]:
    """Return a function that keeps the result of a live update whose panel was closed."""
    return _keeper(
        saver,
        lambda result: result[1].checkpoint,
        lambda result: add_updated(session, task, result[1]),
    )


def _keeper(
    saver: AutosaveSaver,
    checkpoint_of: Callable[[Any], Checkpoint],
    add: Callable[[Any], object],
    message: str = "",
    left: Callable[[Any], int] = lambda _: 0,
) -> Callable[[Outcome], None]:
    folder = saver.folder

    def add_version(result: Any) -> None:
        add(result)
        if message and not saver.ended:
            show_info(message)

    add_soon: Callable[[Any], object] = ensure_main_thread(add_version)

    def keep(outcome: Outcome) -> None:
        if outcome.error:
            return
        with suppress(OSError, CheckpointError):  # it is a version still, if the viewer is open
            folder.save_last_model(checkpoint_of(outcome.result), left(outcome.result))
        with suppress(RuntimeError):  # the application is gone
            add_soon(outcome.result)

    return keep
