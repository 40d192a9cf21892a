"""Events and results of jobs with an instant model; importing them does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from napari_emcad.io.checkpoints.instant_model import InstantModel


@dataclass(frozen=True, slots=True)
class Shown:
    """Event: whose prediction is shown from now on, and why.

    Attributes
    ----------
    source
        The ``"instant"`` model, or the network (``"model"``).
    reason
        Why, as a sentence; "" if there was no choice.
    """

    source: Literal["instant", "model"]
    reason: str = ""

    @property
    def message(self) -> str:
        """The event as text for the panel."""
        name = {"instant": "Instant", "model": "the model"}[self.source]
        return f"Shown: {name}. {self.reason}".strip()


@dataclass(frozen=True, slots=True, eq=False)
class ScoredInstant:
    """An instant model of the strokes that a training learned, and its Dice on held-out pixels."""

    model: InstantModel
    dice: float
