"""A term that pulls the borders of a prediction to the borders of the image.

Neighbors of like brightness or color should be of the same class: a conditional random field,
gated by nothing but distance, over a small window at the resolution of the finest head (the idea of
gated CRF losses, Obukhov et al. 2019, arXiv 1906.04651). Needs no labels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor

_RADIUS = 3
"""Of the window, in pixels of the finest head."""

_LIKE = 0.5
"""Standard deviation of likeness, in units of standardized pixels."""


def crf_loss(logits: Tensor, pixels: Tensor) -> Tensor:
    """Return how often neighbors that look alike are told apart, 0 … 1.

    Parameters
    ----------
    logits
        ``(N, K, h, w)`` of the finest head; K is 1 for a binary network.
    pixels
        ``(N, inputs, H, W)`` prepared images.
    """
    chance = _chances(logits.float())
    height, width = chance.shape[-2:]
    small = F.adaptive_avg_pool2d(pixels.float(), (height, width))
    apart, alike = logits.new_zeros((), dtype=torch.float32), 0.0
    for down, right in _half_window():
        one, other = _shifted(chance, down, right)
        near, far = _shifted(small, down, right)
        like = torch.exp(-((near - far) ** 2).mean(1) / (2 * _LIKE**2))
        apart = apart + (like * (1 - (one * other).sum(1))).sum()
        alike += float(like.sum())
    return apart / max(alike, 1e-6)


def _chances(logits: Tensor) -> Tensor:
    if logits.shape[1] > 1:
        return logits.softmax(1)
    chance = logits.sigmoid()
    return torch.cat([1 - chance, chance], dim=1)


def _half_window() -> list[tuple[int, int]]:
    """Return each pair of neighbors once, as how far the second one lies down and right."""
    reach = range(-_RADIUS, _RADIUS + 1)
    return [(down, right) for down in reach for right in reach if (down, right) > (0, 0)]


def _shifted(maps: Tensor, down: int, right: int) -> tuple[Tensor, Tensor]:
    """Return what lies in both a map and its shifted copy, from either."""
    height, width = maps.shape[-2:]
    rows, columns = max(height - down, 0), max(width - abs(right), 0)
    left = max(-right, 0)
    one = maps[..., :rows, left : left + columns]
    start = left + right
    return one, maps[..., down : down + rows, start : start + columns]
