"""From logits to probabilities, for NumPy arrays; the same for tensors is in `training.losses`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit, softmax

if TYPE_CHECKING:
    from numpy.typing import NDArray


def channel_probabilities(logits: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the sigmoid of a single channel, or the softmax over several, ``(K, …)``."""
    result: NDArray[np.float32] = expit(logits) if len(logits) == 1 else softmax(logits, axis=0)
    return result


def class_probabilities(
    logits: NDArray[np.floating], temperature: float = 1.0
) -> NDArray[np.float32]:
    """Return the probabilities of all classes, background first, ``(max(K, 2), …)``.

    Parameters
    ----------
    logits
        ``(K, …)``; a single channel is that of class 1 against the background.
    temperature
        Divisor of the logits.
    """
    probabilities = channel_probabilities(logits / temperature)
    if len(probabilities) > 1:
        return probabilities
    return np.concatenate([1 - probabilities, probabilities])
