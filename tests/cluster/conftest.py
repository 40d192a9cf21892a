"""A cluster in this process, and images whose labels have borders everywhere."""

from __future__ import annotations

import numpy as np
import pytest
from in_process_cluster import in_process_cluster

pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def scheduler():
    """Return the address of a scheduler with two workers in threads of this process."""
    with in_process_cluster(2) as address:
        yield address


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
