"""Measures how long a training step takes, to say how long the next training will."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_LEAST, _MOST = 4, 50
"""Steps before there is an estimate; the last steps that count."""


class StepTimer:
    """Times the steps of a training.

    Parameters
    ----------
    clock
        Returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pixels = 0
        self._last: float | None = None
        self._seconds: list[float] = []

    def start(self, pixels: int) -> None:
        """Begin with a training whose batches have this number of pixels."""
        self._pixels, self._last, self._seconds = pixels, None, []

    def step(self) -> float:
        """Count a step; return the seconds of a step per pixel of its batch, 0 if not known yet."""
        now = self._clock()
        if self._last is not None:
            self._seconds = [*self._seconds, now - self._last][-_MOST:]
        self._last = now
        if len(self._seconds) < _LEAST or not self._pixels:
            return 0.0
        return median(self._seconds) / self._pixels
