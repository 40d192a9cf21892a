"""Feature maps as colors: three principal components, the same for all tiles of an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SAMPLE = 4096
"""Most pixels of a tile that the components are fitted to."""

_PERCENTILES = (1.0, 99.0)
"""Percentiles of a component that become 0 and 1."""


@dataclass(frozen=True, slots=True, eq=False)
class PcaColors:
    """From features to red, green and blue; made by `fit_pca_colors`.

    Attributes
    ----------
    mean
        Mean of the features, ``(C,)``.
    axes
        The directions of most, second and third most variance, ``(3, C)``.
    low, high
        Values along the directions that become 0 and 1, ``(3,)``; equal where features do not vary.
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]
    low: NDArray[np.float32]
    high: NDArray[np.float32]

    def project(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the three components ``(3, h, w)`` of ``(C, h, w)`` features.

        The projection is linear, so tiles may be blended before or after it.
        """
        channels, *size = features.shape
        flat = self.axes @ (features.reshape(channels, -1) - self.mean[:, None])
        return flat.reshape(3, *size)

    def to_rgb(self, components: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return colors ``(3, h, w)`` in 0 … 1; gray where features do not vary."""
        low, high = (ends[:, None, None] for ends in (self.low, self.high))
        spread = high - low
        flat = spread <= 1e-6 * np.maximum(np.abs(high), np.abs(low)) + 1e-12
        scaled = np.clip((components - low) / np.where(flat, 1, spread), 0, 1)
        return np.where(flat, 0.5, scaled).astype(np.float32)


def sample_pixels(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return evenly spaced pixels of ``(C, h, w)`` features as ``(n, C)``."""
    flat = features.reshape(len(features), -1)
    step = -(-flat.shape[1] // _SAMPLE)
    return np.ascontiguousarray(flat[:, ::step].T)


def fit_pca_colors(samples: NDArray[np.float32]) -> PcaColors:
    """Return colors by principal components.

    A direction's sign is the one that makes its largest component positive, so equal features
    get equal colors in every run.

    Parameters
    ----------
    samples
        ``(n, C)`` with n ≥ 1 and C ≥ 3.
    """
    exact = samples.astype(np.float64)
    mean = exact.mean(0)
    centered = exact - mean
    _, vectors = np.linalg.eigh(centered.T @ centered)
    axes = vectors[:, ::-1][:, :3].T
    largest = np.abs(axes).argmax(1)
    axes = axes * np.sign(axes[np.arange(3), largest])[:, None]
    low, high = np.percentile(centered @ axes.T, _PERCENTILES, axis=0)
    return PcaColors(*(values.astype(np.float32) for values in (mean, axes, low, high)))
