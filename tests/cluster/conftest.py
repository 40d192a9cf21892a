"""A cluster in this process, and images whose labels have borders everywhere."""

from __future__ import annotations

import logging

import numpy as np
import pytest

pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def scheduler():
    """Return the address of a scheduler with two workers in threads of this process."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=False,
        protocol="tcp",
        dashboard_address="127.0.0.1:0",
        memory_limit=0,
        silence_logs=logging.CRITICAL,
    ) as cluster:
        yield cluster.scheduler_address


@pytest.fixture(scope="session")
def discs():
    """Return a function that draws bright discs on noise, ``(*stacked, height, width)`` uint8."""

    def draw(*shape, seed=0):
        random = np.random.default_rng(seed)
        pixels = random.normal(60, 12, shape)
        planes = pixels.reshape(-1, *shape[-2:])
        rows, columns = np.mgrid[: shape[-2], : shape[-1]]
        for n in range(len(planes)):
            for _ in range(shape[-2] * shape[-1] // 2000):
                y, x, r = random.integers((0, 0, 4), (*shape[-2:], 13))
                planes[n][(rows - y) ** 2 + (columns - x) ** 2 < r * r] += 100
        return pixels.clip(0, 255).astype(np.uint8)

    return draw
