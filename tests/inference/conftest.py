"""Checkpoints whose output varies over an image, and networks replaced by arithmetic."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest
from golden.fill import fill

from napari_emcad import PvtEmcad, initialize_checkpoint


@cache
def _filled(**config):
    fresh = initialize_checkpoint(**config)
    tensors = fill({name: tensor.shape for name, tensor in fresh.tensors.items()})
    return replace(fresh, tensors=tensors).override(size=None)


@pytest.fixture(scope="module")
def checkpoint(tiny_encoder):
    """Return a function from fields of ModelConfig to a tiny checkpoint without a fixed size."""
    return partial(_filled, encoder=tiny_encoder)


@pytest.fixture
def as_it_is(checkpoint):
    """Return a checkpoint without preprocessing; with `logits` pixels are the output."""
    return checkpoint().override(intensity="none", mean=(0,), std=(1,))


@pytest.fixture
def instead(monkeypatch):
    """Return a function that puts f(real predict, network, x, head) in place of predict."""
    real = PvtEmcad.predict

    def instead(function):
        def predict(network, x, head="finest", zoom=1.0):
            return function(real, network, x, head)

        monkeypatch.setattr(PvtEmcad, "predict", predict)

    return instead


@pytest.fixture
def logits(instead):
    """Make the first input the logits of a binary network; return the shapes of its inputs."""
    shapes = []

    def first_input(real, network, x, head):
        shapes.append(tuple(x.shape))
        return x[:, :1].clone()

    instead(first_input)
    return shapes


@pytest.fixture(scope="session")
def picture():
    """Return smooth blobs on a ramp, (90, 75, 3) uint8."""
    y, x = np.mgrid[:90, :75]
    waves = [np.sin(y / 9 + k) * np.cos(x / (6 + k)) * 90 + x + 60 for k in range(3)]
    return np.clip(np.stack(waves, axis=-1), 0, 255).astype(np.uint8)
