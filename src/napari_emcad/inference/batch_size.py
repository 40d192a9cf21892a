"""How many patches of which size are computed at once, and what is tried when memory runs out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.imaging.slices import Slices
    from napari_emcad.inference.events import InferenceSettings

SMALLEST_TILE = 64
"""Side in pixels; no smaller tile is tried when memory runs out."""

_PIXELS = {"cpu": 512**2, "cuda": 16 * 512**2, "mps": 4 * 512**2}
"""Pixels of a batch by type of device, unless the user sets the batch size."""


@dataclass(frozen=True, slots=True)
class BatchSize:
    """Side of a tile in pixels, and number of patches that are computed at once."""

    tile: int
    batch: int

    def smaller(self, tiled: bool) -> BatchSize | None:
        """Return the next smaller one to try when memory ran out, or None."""
        if self.batch > 1:
            return replace(self, batch=self.batch // 2)
        half = self.tile // 2
        return replace(self, tile=half) if tiled and half >= SMALLEST_TILE else None


def first_batch_size(
    device: torch.device, slices: Slices, preprocessing: Preprocessing, settings: InferenceSettings
) -> BatchSize:
    """Return the size to begin with: the user's, or one that usually fits."""
    if preprocessing.size is None:
        height, width = (round(s * preprocessing.zoom) for s in (slices.height, slices.width))
        tile = min(settings.tile, max(height, width))
        area = min(tile, height) * min(tile, width)
    else:
        tile, area = settings.tile, preprocessing.size[0] * preprocessing.size[1]
    return BatchSize(tile, settings.batch or default_batch(device, area))


def default_batch(device: torch.device, pixels: int) -> int:
    """Return the number of patches of so many pixels that are computed at once on a device."""
    return max(1, _PIXELS[device.type] // max(pixels, 1))


def size_notice(device: torch.device, size: BatchSize, preprocessing: Preprocessing) -> str:
    """Return the message that a job goes on with a smaller size."""
    of_pixels = f" of {size.tile} pixels" if preprocessing.size is None else ""
    name = "tile" if preprocessing.size is None else "slice"
    count = f"one {name}{of_pixels}" if size.batch == 1 else f"{size.batch} {name}s{of_pixels}"
    return f"Memory ran out on {device.type}; went on with {count} at once."


def out_of_memory_message(device: torch.device, tile: int, preprocessing: Preprocessing) -> str:
    """Return the message that memory is short even for one tile of this side, or for one slice."""
    if preprocessing.size is None:
        return (
            f"Memory on {device.type} is short even for one tile of {tile} pixels. Close other "
            f"programs, or choose another device."
        )
    return (
        f"Memory on {device.type} is short even for one slice of {preprocessing.size} pixels. "
        f"Choose a smaller size or another device."
    )
