"""Compare the times of several ways to compute the same on a machine that does other work too."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

LEAST_RUNS = 3
"""Runs of a function that are always done, however long they take."""


def alternate(
    ways: Mapping[str, Callable[[], object]],
    runs: int,
    most_s: float = float("inf"),
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[dict[str, float]]:
    """Time functions in turns after a first call of all, so that other work slows all of them down.

    Parameters
    ----------
    ways
        Functions by name, which return when what they computed is complete.
    runs
        Number of rounds.
    most_s
        Seconds after which no further round begins, after at least `LEAST_RUNS` of them.
    clock
        Returns seconds.

    Yields
    ------
    dict
        Seconds of every function in one round.
    """
    for function in ways.values():
        function()
    began = clock()
    for done in range(runs):
        if done >= LEAST_RUNS and clock() - began > most_s:
            return
        times = {}
        for name, function in ways.items():
            start = clock()
            function()
            times[name] = clock() - start
        yield times


def median_times(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Return the median seconds of every function over rounds of `alternate`."""
    return {name: median(times[name] for times in rounds) for name in rounds[0]}


def synchronize(device: torch.device) -> None:
    """Wait until a device has computed everything; a CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
