"""Resize images for the network, and its logits back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor

    Size = tuple[int, int]


def zoomed_size(size: Size, zoom: float) -> Size:
    """Return height and width times `zoom`, rounded, at least 1."""
    height, width = size
    return max(round(height * zoom), 1), max(round(width * zoom), 1)


def resize(maps: Tensor, size: Size) -> Tensor:
    """Return ``(N, C, H, W)`` at another size, bilinear with anti-aliasing, as float32.

    Maps that have the size already are returned as they are.
    """
    if tuple(maps.shape[-2:]) == tuple(size):
        return maps
    if size[1] == 1:  # torch repeats the first row down a single column
        transposed = maps.float().transpose(-1, -2).contiguous()
        row = F.interpolate(transposed, (1, size[0]), mode="bilinear", antialias=True)
        return row.transpose(-1, -2)
    return F.interpolate(maps.float(), size, mode="bilinear", antialias=True)
