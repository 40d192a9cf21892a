"""Published-format networks with weights that follow from their names, and what they answer.

A case is two files: NAME.json says the options and every tensor's published name and shape,
NAME.npz holds float32 outputs of such a network in evaluation mode for `golden_input`. As each
tensor is drawn from a seed made of its name, one that is lost or swapped changes the outputs.
"""

from __future__ import annotations

import json
import math
import zlib
from pathlib import Path

import numpy as np
import torch

CASES = ("b0_rgb", "b0_gray", "b2_rgb")
_HERE = Path(__file__).parent


def fill(shapes):
    """Return an array for every name in {name: shape}."""
    return {name: _drawn(name, tuple(shape)) for name, shape in shapes.items()}


def _drawn(name, shape):
    last = name.rsplit(".", 1)[-1]
    if last == "num_batches_tracked":
        return np.zeros(shape, dtype=np.int64)
    random = np.random.default_rng(zlib.crc32(name.encode()))
    if last in ("bias", "running_mean"):
        drawn = random.standard_normal(shape) * 0.1
    elif last == "running_var" or len(shape) == 1:
        drawn = random.uniform(0.5, 1.5, shape)
    else:
        drawn = random.standard_normal(shape) / math.sqrt(math.prod(shape[1:]))
    return drawn.astype(np.float32)


def golden_input(channels):
    """Return what the golden networks were fed, (2, channels, 64, 96)."""
    drawn = np.random.default_rng(20240614).standard_normal((2, channels, 64, 96))
    return torch.from_numpy(drawn.astype(np.float32))


def case(name):
    """Return the options of a case."""
    return json.loads((_HERE / f"{name}.json").read_text())


def answers(name):
    """Return the outputs of a case by their names."""
    with np.load(_HERE / f"{name}.npz") as arrays:
        return dict(arrays)


def write_published(path, shapes):
    """Write a filled state dict as the authors' code would, and return its tensors."""
    tensors = {name: torch.from_numpy(array) for name, array in fill(shapes).items()}
    torch.save(tensors, path)
    return tensors
