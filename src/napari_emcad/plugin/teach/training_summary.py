"""What the panel shows of a training that has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_emcad.training.events import EpochEnd, Trained


def best_epoch(course: Trained) -> EpochEnd | None:
    """Return the epoch with the highest Dice, or None if no epoch has one."""
    scored = [epoch for epoch in course.epochs if epoch.dice is not None]
    return max(scored, key=lambda epoch: epoch.dice or 0.0, default=None)


def training_message(course: Trained, held_out: int, seconds: float) -> str:
    """Return a message for the user.

    Parameters
    ----------
    course
        How the training went.
    held_out
        Number of held-out pixels.
    seconds
        Duration.
    """
    best = best_epoch(course) if held_out else None
    ending = {"finished": "Trained", "stopped": "Stopped", "diverged": "Diverged"}[course.ending]
    score = "" if best is None else f" Dice {best.dice:.3f} on {held_out:,} held-out pixels."
    return f"{ending} after {seconds:.0f} s.{score} {course.remark}".strip()
