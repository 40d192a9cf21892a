"""Pictures, masks and data sets on disk."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from napari_emcad.imaging.intensity import Preprocessing


@pytest.fixture(scope="session")
def save():
    """Return a function that writes a picture and the folders above it."""

    def save(path, pixels, palette=None):
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(pixels)
        if palette is not None:
            picture.putpalette(palette)
        picture.save(path)

    return save


@pytest.fixture(scope="session")
def picture():
    """Return a function that makes a picture with random colors."""

    def picture(seed=0, shape=(40, 48, 3)):
        return np.random.default_rng(seed).integers(0, 255, shape).astype(np.uint8)

    return picture


@pytest.fixture(scope="session")
def targets():
    """Return a function that reads a data set and returns its targets by image."""
    from napari_emcad.io.datasets.read import read_dataset

    def targets(found, classes=None, inputs=3):
        data = read_dataset(found, inputs, Preprocessing("range", 0.0, 255.0), classes)
        return {part.name: part.target for part in data.slices}

    return targets
