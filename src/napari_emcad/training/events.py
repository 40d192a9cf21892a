"""Events of a training in the order in which they happen, and its result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    State = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StepEnd:
    """A finished step: its number from 1, the number of all steps, and its loss."""

    step: int
    total: int
    loss: float


@dataclass(frozen=True, slots=True)
class EpochEnd:
    """A finished epoch.

    Attributes
    ----------
    epoch, total
        Its number from 1, and the number of all epochs.
    loss
        Mean loss of its steps.
    learning_rate
        Learning rate of its last step.
    dice
        Dice of the held-out slices, averaged over classes, then slices (of held-out strokes: all
        their pixels together, averaged over classes); None if they were not scored.
    best
        Whether it is the best epoch so far.
    seconds
        Time since the training began, time before it was resumed included.
    iou
        IoU of the held-out slices, averaged as `dice`.
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
    """Scores on held-out slices or strokes, see `EpochEnd`."""

    dice: float
    iou: float


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """Everything that is needed to resume in another process, as tensors and plain values."""

    state: State


TrainingEvent = StepEnd | EpochEnd | Snapshot
Ending = Literal["finished", "stopped", "diverged"]


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """The result of a training.

    Attributes
    ----------
    weights
        State dict of the best network on the CPU; of the last one if nothing was held out.
    epochs
        All finished epochs.
    ending
        ``"finished"``, ``"stopped"`` by the user, or ``"diverged"``: the loss was not finite.
    remark
        A message for the user, such as which batch diverged.
    """

    weights: Mapping[str, Tensor]
    epochs: tuple[EpochEnd, ...]
    ending: Ending
    remark: str = ""


def selected_epoch(epochs: Sequence[EpochEnd]) -> EpochEnd | None:
    """Return the epoch whose network is saved: the best, or the last if nothing was held out."""
    candidates = [epoch for epoch in epochs if epoch.best] or epochs
    return candidates[-1] if candidates else None
