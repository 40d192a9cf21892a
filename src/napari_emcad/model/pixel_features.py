"""Features of single pixels: color, smoothed color, gradient and curvature at four scales."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

_FINE_SIGMAS = (0.7, 1.5)
"""Standard deviations of the Gaussians at full resolution, in pixels."""

_COARSE_SIGMAS = (0.8, 1.7)
"""The same after the reduction by `COARSE_STRIDE`: 3.3 and 6.9 pixels."""

COARSE_STRIDE = 4
"""Stride of the coarse map in pixels."""

_PER_SCALE = 6
"""Three smoothed channels, the gradient's magnitude, and two eigenvalues of the Hessian matrix."""

FINE_WIDTH = 3 + _PER_SCALE * len(_FINE_SIGMAS)
COARSE_WIDTH = _PER_SCALE * len(_COARSE_SIGMAS)
"""Numbers of channels of the two maps."""

PIXEL_MAPS = 2
"""Number of maps of pixel features."""

_TRUNCATE = 3.0
"""Radius of a Gaussian in standard deviations."""


def pixel_features(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Return maps of features at full resolution and at a quarter of it.

    Parameters
    ----------
    pixels
        Images ``(N, 3, H, W)``, sides multiples of 32.

    Returns
    -------
    tuple
        ``(N, FINE_WIDTH, H, W)`` and ``(N, COARSE_WIDTH, H / 4, W / 4)``, float32.
    """
    pixels = pixels.float()
    fine = torch.cat([pixels, _scale_space(pixels, _FINE_SIGMAS)], 1)
    return fine, _scale_space(F.avg_pool2d(pixels, COARSE_STRIDE), _COARSE_SIGMAS)


def _scale_space(pixels: Tensor, sigmas: Sequence[float]) -> Tensor:
    """Return the features of all scales, ``(N, 6 len(sigmas), H, W)``."""
    return torch.cat([_features_at(pixels, sigma) for sigma in sigmas], 1)


def _features_at(pixels: Tensor, sigma: float) -> Tensor:
    """Return the features of one scale; derivatives are multiplied by powers of sigma.

    Notes
    -----
    Such derivatives have the same size for a structure at any zoom (Lindeberg 1998).
    """
    down, across = _separable_kernels(sigma)
    padded = F.pad(pixels, (down.shape[2] // 2,) * 4, mode="reflect")
    filtered = F.conv2d(F.conv2d(padded, down.to(pixels)), across.to(pixels))
    blurred, (dy, dx, yy, xx, xy) = filtered[:, :3], torch.split(filtered[:, 3:], 1, dim=1)
    mean, half = (xx + yy) / 2, ((xx - yy) ** 2 / 4 + xy**2).sqrt()
    slope = sigma * (dx**2 + dy**2).sqrt()
    return torch.cat([blurred, slope, sigma**2 * (mean + half), sigma**2 * (mean - half)], 1)


@lru_cache(maxsize=8)
def _separable_kernels(sigma: float) -> tuple[Tensor, Tensor]:
    """Return the weights of two convolutions, down the columns and then across the rows.

    The first, ``(5, 3, k, 1)``, returns the smoothed channels and the first two derivatives of
    their mean. The second, ``(8, 5, 1, k)``, returns the smoothed channels and the derivatives y,
    x, yy, xx, xy of their mean. Dense convolutions of few channels are several times as fast on a
    CPU as depth-wise ones.
    """
    smooth, first, second = _gaussian_kernels(sigma)
    down = torch.zeros(5, 3, len(smooth), device="cpu")
    across = torch.zeros(8, 5, len(smooth), device="cpu")
    for channel in range(3):
        down[channel, channel] = smooth
        across[channel, channel] = smooth
        across[4, channel], across[6, channel] = first / 3, second / 3
    down[3], down[4] = first / 3, second / 3
    across[3, 3], across[5, 4], across[7, 3] = smooth, smooth, first
    return down[..., None], across[:, :, None]


def _gaussian_kernels(sigma: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return a Gaussian and its first two derivatives, sampled at whole pixels."""
    radius = round(_TRUNCATE * sigma + 0.5)
    x = torch.arange(-radius, radius + 1, dtype=torch.float32, device="cpu")
    smooth = torch.exp(-(x**2) / (2 * sigma**2))
    smooth = smooth / smooth.sum()
    second = (x**2 / sigma**2 - 1) / sigma**2 * smooth
    return smooth, -x / sigma**2 * smooth, second - second.mean()
