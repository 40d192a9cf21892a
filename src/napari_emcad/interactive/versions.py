"""The models of one sitting, to go back to, compare or save."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from psygnal import Signal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.training.events import HeldOut

How = Literal["opened", "trained", "live"]

MOST_BYTES = 2**30
"""Weights that are kept; beyond it the oldest updates of Live mode are let go, then trainings."""

_EXPENDABLE: tuple[How, ...] = ("live", "trained")


@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """A model of this sitting.

    Attributes
    ----------
    number
        Counted up from 1.
    how
        ``"opened"``, ``"trained"`` or ``"live"``: updated in Live mode.
    checkpoint
        The model.
    strokes
        How many strokes there were.
    score
        On what was held out, if that says something.
    held_out
        Pixels that stand behind the score.
    made
        When.
    doubt
        Mean entropy of its predictions there, 0 … 1, at a temperature of 1; None if nobody asked.
    came_of
        The model before anything was learned in this sitting; None for one that was opened.
    """

    number: int
    how: How
    checkpoint: Checkpoint
    strokes: int = 0
    score: HeldOut | None = None
    held_out: int = 0
    made: datetime = field(default_factory=datetime.now)
    doubt: float | None = None
    came_of: Checkpoint | None = None

    @property
    def size(self) -> int:
        """Bytes of its weights."""
        return sum(each.nbytes for each in self.checkpoint.tensors.values())


class Versions:
    """All versions, oldest first, one of which is current.

    Attributes
    ----------
    changed
        Emitted after every change.
    """

    changed = Signal()

    def __init__(self) -> None:
        self._all: list[Version] = []
        self._current: Version | None = None
        self._made = 0

    def __iter__(self) -> Iterator[Version]:
        return iter(tuple(self._all))

    def __len__(self) -> int:
        return len(self._all)

    @property
    def current(self) -> Version | None:
        """The version in use."""
        return self._current

    def add(
        self,
        how: How,
        checkpoint: Checkpoint,
        strokes: int = 0,
        score: HeldOut | None = None,
        held_out: int = 0,
        doubt: float | None = None,
        came_of: Checkpoint | None = None,
    ) -> Version:
        """Put a new version at the end and make it current."""
        self._made += 1
        version = Version(
            self._made,
            how,
            checkpoint,
            strokes,
            score,
            held_out,
            doubt=doubt,
            came_of=came_of,
        )
        self._all.append(version)
        self._current = version
        self._let_go()
        self.changed.emit()
        return version

    def go_to(self, version: Version) -> None:
        """Make an older (or newer) version current; none is lost by it.

        Raises
        ------
        ValueError
            If it is not there any more.
        """
        if not any(each is version for each in self._all):
            raise ValueError(f"Version {version.number} was let go to save memory.")
        self._current = version
        self.changed.emit()

    def _let_go(self) -> None:
        """Keep within the bound; what was opened and what is in use stay."""
        total = sum(each.size for each in self._all)
        for how in _EXPENDABLE:
            for each in [one for one in self._all if one.how == how]:
                if total <= MOST_BYTES:
                    return
                if each is not self._current:
                    self._all.remove(each)
                    total -= each.size
