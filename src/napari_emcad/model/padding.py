"""Reflection padding to a multiple of the network's largest stride, and its removal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import torch

from napari_emcad.model.config import MULTIPLE

if TYPE_CHECKING:
    from torch import Tensor

Indices = TypeVar("Indices", bound=Any)


def pad_to_multiple(x: Tensor, multiple: int = MULTIPLE) -> Tensor:
    """Pad ``(N, C, H, W)`` by reflection at the bottom and right to a multiple of both sides.

    Unlike torch's own reflection it may pad by more than the image's size, down to one pixel.

    Raises
    ------
    ValueError
        If `x` is not a batch of 1- or 3-channel images with at least one pixel.
    """
    if x.ndim != 4 or x.shape[1] not in (1, 3) or x.numel() == 0:
        raise ValueError(
            f"The network takes images of shape (N, 1 or 3, H, W) with at least one pixel; "
            f"this input has shape {tuple(x.shape)}."
        )
    for axis in (-2, -1):
        size = x.shape[axis]
        if size % multiple:
            indices = torch.arange(size + (-size) % multiple, device=x.device)
            x = x.index_select(x.ndim + axis, reflect_indices(indices, size))
    return x


def reflect_indices(indices: Indices, size: int) -> Indices:
    """Return indices mirrored into 0 … size - 1, without repeating the first and last.

    Parameters
    ----------
    indices
        Integers of any range, a tensor or a NumPy array.
    size
        Length of the axis.
    """
    last = size - 1
    mirrored: Indices = last - abs(last - indices % max(2 * last, 1))
    return mirrored


def crop(x: Tensor, size: torch.Size, stride: int) -> Tensor:
    """Return the part of a stage's map that lies on an input of this size."""
    height, width = (-(-side // stride) for side in size)
    return x[..., :height, :width]
