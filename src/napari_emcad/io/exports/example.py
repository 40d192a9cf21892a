"""The image and the result with which a model package of bioimage.io tests itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.filters import gaussian

from napari_emcad.imaging.intensity import normalize, standardize, value_range

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint

_LEAST_SIDE = 128


def example_image(checkpoint: Checkpoint, step: int) -> NDArray[np.float32]:
    """Return an image of smooth random blobs, ``(1, C, H, W)``, within the range of the model.

    Parameters
    ----------
    checkpoint
        Checkpoint whose inputs and range it suits.
    step
        Height and width are multiples of it, at least two.
    """
    channels = checkpoint.config.input_channels
    side = step * max(2, -(-_LEAST_SIDE // step))
    noise = np.random.default_rng(0).random((channels, side, side + step))
    blobs = np.stack([gaussian(plane, 4) for plane in noise])
    blobs = (blobs - blobs.min()) / np.ptp(blobs)
    low, high = _typical_range(checkpoint.preprocessing)
    image: NDArray[np.float32] = (low + blobs * (high - low)).astype(np.float32)[None]
    return image


def expected_probabilities(
    checkpoint: Checkpoint, image: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the probabilities ``(1, K, H, W)`` that this package computes for an image.

    The image is prepared and the network is run without the exported file, so that the test of a
    model package compares both.
    """
    import torch

    planes = _prepared(image[0], checkpoint.preprocessing)
    with torch.inference_mode():
        logits = checkpoint.network().predict(
            torch.from_numpy(planes[None]), checkpoint.head, checkpoint.preprocessing.zoom
        )
        binary = checkpoint.config.num_classes == 1
        result: NDArray[Any] = (logits.sigmoid() if binary else logits.softmax(1)).numpy()
    return result


def _prepared(planes: NDArray[np.float32], preprocessing: Preprocessing) -> NDArray[np.float32]:
    groups = planes[:, None] if preprocessing.pool_channels == "none" else planes[None]
    scaled = [
        normalize(group, value_range(group, preprocessing), preprocessing) for group in groups
    ]
    return standardize(np.concatenate(scaled), preprocessing)


def _typical_range(preprocessing: Preprocessing) -> tuple[float, float]:
    if preprocessing.intensity == "range":
        return preprocessing.low, preprocessing.high
    if preprocessing.intensity == "percentile":
        return 0.0, 255.0
    mean, std = preprocessing.mean[0], preprocessing.std[0]
    return mean - 2 * std, mean + 2 * std
