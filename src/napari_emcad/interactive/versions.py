"""Versions of the model since the window was opened, to go back to, compare or save."""

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
"""Bytes of weights to keep; beyond it the oldest live updates are dropped, then trainings."""

_DROPPED_FIRST: tuple[How, ...] = ("live", "trained")


@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """A version of the model.

    Attributes
    ----------
    number
        Number of the version, from 1.
    how
        Origin: ``"opened"`` from a file, ``"trained"``, or ``"live"``: updated in Live mode.
    checkpoint
        The model.
    strokes
        Number of strokes it learned from.
    score
        Score on held-out pixels, if there is one.
    held_out
        Number of held-out pixels behind the score.
    made
        Time of its making.
    uncertainty
        Mean entropy on held-out pixels, 0 … 1, at a temperature of 1; None if not computed.
    base
        The model before it learned anything of the annotations; None for an opened model.
    """

    number: int
    how: How
    checkpoint: Checkpoint
    strokes: int = 0
    score: HeldOut | None = None
    held_out: int = 0
    made: datetime = field(default_factory=datetime.now)
    uncertainty: float | None = None
    base: Checkpoint | None = None

    @property
    def size(self) -> int:
        """Size of its weights in bytes."""
        return sum(tensor.nbytes for tensor in self.checkpoint.tensors.values())


class Versions:
    """All versions, oldest first, one of which is current.

    Parameters
    ----------
    most_bytes
        Bytes of weights to keep.

    Attributes
    ----------
    changed
        Emitted after every change.
    """

    changed = Signal()

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._versions: list[Version] = []
        self._current: Version | None = None
        self._count = 0

    def __iter__(self) -> Iterator[Version]:
        return iter(tuple(self._versions))

    def __len__(self) -> int:
        return len(self._versions)

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
        uncertainty: float | None = None,
        base: Checkpoint | None = None,
    ) -> Version:
        """Append a version and make it current; see `Version` for the parameters."""
        self._count += 1
        version = Version(
            self._count,
            how,
            checkpoint,
            strokes,
            score,
            held_out,
            uncertainty=uncertainty,
            base=base,
        )
        self._versions.append(version)
        self._current = version
        self._drop_oldest()
        self.changed.emit()
        return version

    def go_to(self, version: Version) -> None:
        """Make another version current; none is lost by it.

        Raises
        ------
        ValueError
            If the version was dropped.
        """
        if not any(kept is version for kept in self._versions):
            raise ValueError(f"Version {version.number} was dropped to save memory.")
        self._current = version
        self.changed.emit()

    def _drop_oldest(self) -> None:
        """Drop versions beyond the limit; opened models and the current version stay."""
        total = sum(version.size for version in self._versions)
        for how in _DROPPED_FIRST:
            for version in [kept for kept in self._versions if kept.how == how]:
                if total <= self._most_bytes:
                    return
                if version is not self._current:
                    self._versions.remove(version)
                    total -= version.size
