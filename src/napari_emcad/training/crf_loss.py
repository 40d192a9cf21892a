"""A loss that aligns the borders of a prediction with the borders of the image.

Neighbors of similar brightness or color should be of the same class: a conditional random field
(CRF) over a small window, at the resolution of the finest head (the idea of gated CRF losses,
Obukhov et al. 2019, arXiv 1906.04651, without their gate). It needs no labels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from napari_emcad.training.losses import class_probabilities

if TYPE_CHECKING:
    from torch import Tensor

_RADIUS = 3
"""Radius of the window, in pixels of the finest head."""

_SIGMA = 0.5
"""Standard deviation of the similarity kernel, in units of standardized pixels."""


def crf_loss(logits: Tensor, pixels: Tensor) -> Tensor:
    """Return the share of similar neighbors that are predicted to be of different classes, 0 … 1.

    Parameters
    ----------
    logits
        ``(N, K, h, w)`` of the finest head; K is 1 for a binary network.
    pixels
        Network input, ``(N, inputs, H, W)``.
    """
    probabilities = class_probabilities(logits.float())
    height, width = probabilities.shape[-2:]
    small = F.adaptive_avg_pool2d(pixels.float(), (height, width))
    cost, total = logits.new_zeros((), dtype=torch.float32), 0.0
    for down, right in _half_window():
        one, other = _neighbors(probabilities, down, right)
        near, far = _neighbors(small, down, right)
        similarity = torch.exp(-((near - far) ** 2).mean(1) / (2 * _SIGMA**2))
        cost = cost + (similarity * (1 - (one * other).sum(1))).sum()
        total += float(similarity.sum())
    return cost / max(total, 1e-6)


def _half_window() -> list[tuple[int, int]]:
    """Return offsets down and right that visit all pairs of neighbors once."""
    reach = range(-_RADIUS, _RADIUS + 1)
    return [(down, right) for down in reach for right in reach if (down, right) > (0, 0)]


def _neighbors(maps: Tensor, down: int, right: int) -> tuple[Tensor, Tensor]:
    """Return all pixels with a neighbor at this offset, and these neighbors."""
    height, width = maps.shape[-2:]
    rows, columns = max(height - down, 0), max(width - abs(right), 0)
    left = max(-right, 0)
    one = maps[..., :rows, left : left + columns]
    start = left + right
    return one, maps[..., down : down + rows, start : start + columns]
