"""The time that a task will still take, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class TimeLeft:
    """Estimates the time left from the share that was done since the start.

    Parameters
    ----------
    clock
        Returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._start: tuple[float, float] | None = None

    def text(self, share: float) -> str:
        """Return ``", about 3 min left"``, or "" while there is nothing to judge by.

        Parameters
        ----------
        share
            Share of the task that is done, 0 … 1; at the first call what was done before.
        """
        now = self._clock()
        if self._start is None:
            self._start = now, share
        began, before = self._start
        if share <= before or share >= 1:
            return ""
        return f", about {duration((now - began) * (1 - share) / (share - before))} left"


def duration(seconds: float) -> str:
    """Return a duration in its largest unit, such as ``"3 min"``."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 1):.0f} s"
