"""Features as colors: their three strongest directions, the same for every tile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SAMPLE = 4096
"""Pixels of a tile that directions are fitted to, at most."""

_ENDS = (1.0, 99.0)
"""Percentiles of each direction that become 0 and 1."""


@dataclass(frozen=True, slots=True, eq=False)
class PcaColors:
    """From features to red, green and blue; made by `fit_pca_colors`.

    Attributes
    ----------
    mean
        ``(C,)``.
    axes
        ``(3, C)``: the directions of most, second and third most variance.
    low, high
        ``(3,)``: what becomes 0 and 1 along each; equal where features do not vary.
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]
    low: NDArray[np.float32]
    high: NDArray[np.float32]

    def project(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ``(3, h, w)`` along the directions from ``(C, h, w)``.

        It is linear, so tiles may be blended before or after it.
        """
        channels, *size = features.shape
        flat = self.axes @ (features.reshape(channels, -1) - self.mean[:, None])
        return flat.reshape(3, *size)

    def to_rgb(self, projected: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ``(3, h, w)`` in 0 … 1; gray where features do not vary."""
        low, high = (each[:, None, None] for each in (self.low, self.high))
        spread = high - low
        flat = spread <= 1e-6 * np.maximum(np.abs(high), np.abs(low)) + 1e-12
        scaled = np.clip((projected - low) / np.where(flat, 1, spread), 0, 1)
        return np.where(flat, 0.5, scaled).astype(np.float32)


def sample(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return evenly spread pixels of ``(C, h, w)`` features as ``(n, C)``."""
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
    low, high = np.percentile(centered @ axes.T, _ENDS, axis=0)
    single = [each.astype(np.float32) for each in (mean, axes, low, high)]
    return PcaColors(*single)
