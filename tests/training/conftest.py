"""Small slices of bright discs, and a small training."""

from __future__ import annotations

import numpy as np
import pytest

from napari_emcad.io.checkpoints.initialize import initialize_checkpoint
from napari_emcad.training.config import TrainingConfig
from napari_emcad.training.samples import LabeledSlice


def _discs(seed, shape=(64, 64)):
    """Return a slice of discs on a noisy background, and its target."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    target = np.zeros(shape, np.int16)
    for _ in range(4):
        cy, cx, r = rng.integers(8, shape[0] - 8), rng.integers(8, shape[1] - 8), rng.integers(5, 9)
        target[(y - cy) ** 2 + (x - cx) ** 2 < r**2] = 1
    planes = (0.2 + 0.6 * target + 0.05 * rng.standard_normal(shape)).clip(0, 1)
    return LabeledSlice(f"disc {seed}", planes[None].astype(np.float32), target)


@pytest.fixture
def discs():
    """Return a function that draws a slice."""
    return _discs


@pytest.fixture
def slices():
    return [_discs(seed) for seed in range(6)]


@pytest.fixture
def small():
    """Return a configuration of a few steps."""
    return TrainingConfig(
        epochs=2, batch=2, crop=64, crops_per_epoch=4, learning_rate=1e-3, mixed_precision=False
    )


@pytest.fixture(scope="module")
def fresh(tiny_encoder):
    """Return a function that creates a tiny network with always the same weights."""
    return initialize_checkpoint(encoder=tiny_encoder, seed=3).network


@pytest.fixture(scope="session")
def fresh_b0():
    """Return a function that creates a B0 network with always the same weights."""
    return initialize_checkpoint(seed=3).network
