"""Train the tiny network that takes the place of the bundled one in most tests.

PYTHONPATH=src:tests python tests/golden/tiny.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from tiny_encoder import TINY

from napari_emcad import bundled_checkpoint, initialize_checkpoint, train, write_checkpoint
from napari_emcad.model.encoders import ENCODERS

FILE = Path(__file__).with_suffix(".safetensors")


def discs(seed):
    """Return a picture of bright discs on a dark ground, (96, 128) uint8, and their mask."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:96, :128]
    mask = np.zeros((96, 128), bool)
    for _ in range(rng.integers(3, 9)):
        cy, cx, r = rng.integers(0, 96), rng.integers(0, 128), rng.integers(6, 14)
        mask |= (y - cy) ** 2 + (x - cx) ** 2 < r**2
    dark, bright, noise = rng.integers(0, 60), rng.integers(110, 250), rng.uniform(0, 20)
    image = np.where(mask, bright, dark) + noise * rng.standard_normal(mask.shape)
    return image.clip(0, 255).astype(np.uint8), mask.astype(np.uint8)


def main():
    """Write the file."""
    ENCODERS[TINY.name] = TINY
    random = initialize_checkpoint(encoder=TINY.name, num_classes=1, seed=1)
    start = replace(bundled_checkpoint(), config=random.config, tensors=random.tensors)
    images, masks = zip(*(discs(seed) for seed in range(64)), strict=True)
    settings = {"epochs": 12, "crops_per_epoch": 256, "batch": 8, "crop": 96, "learning_rate": 4e-3}
    result = train(images, masks, start, "YX", **settings, drop_path=0.0, mixed_precision=False)
    write_checkpoint(replace(result.checkpoint, parent=None, history=()), FILE, half=True)


if __name__ == "__main__":
    main()
