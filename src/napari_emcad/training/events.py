"""What a training tells: events in the order they happen, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    State = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StepEnd:
    """A step was done: its number from 1, of how many, and its loss."""

    step: int
    total: int
    loss: float


@dataclass(frozen=True, slots=True)
class EpochEnd:
    """An epoch was done.

    Attributes
    ----------
    epoch, total
        Its number from 1, of how many.
    loss
        Mean over its steps.
    learning_rate
        At its end.
    dice
        Of the held-out slices, averaged over classes, then slices (of held-out strokes: over
        classes, all their pixels together); None if none were looked at.
    best
        Whether it is the best so far.
    seconds
        Since training began, those before a resumption included.
    iou
        As `dice`.
    """

    epoch: int
    total: int
    loss: float
    learning_rate: float
    dice: float | None
    best: bool
    seconds: float
    iou: float | None = None


@dataclass(frozen=True, slots=True)
class HeldOut:
    """How well a network does on what it did not learn from, see `EpochEnd`."""

    dice: float
    iou: float


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """All that is needed to go on from here in another process, as tensors and plain values."""

    state: State


TrainingEvent = StepEnd | EpochEnd | Snapshot
Ending = Literal["finished", "stopped", "diverged"]


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """How a training ended.

    Attributes
    ----------
    weights
        The best network's state dict, on the CPU; the last one's if nothing was held out.
    epochs
        What happened.
    ending
        ``"finished"``, ``"stopped"`` by the user, or ``"diverged"``: the loss was not finite.
    remark
        What the user should know, such as which batch diverged.
    """

    weights: Mapping[str, Tensor]
    epochs: tuple[EpochEnd, ...]
    ending: Ending
    remark: str = ""


def selected_epoch(epochs: Sequence[EpochEnd]) -> EpochEnd | None:
    """Return the epoch whose network is kept: the best, or the last if none was held out for."""
    best = [each for each in epochs if each.best]
    among = best or epochs
    return among[-1] if among else None
