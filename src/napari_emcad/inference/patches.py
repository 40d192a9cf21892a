"""Slices cut into the patches that a network sees at once, and stitched from their logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch.nn import functional as F

from napari_emcad.imaging.exposure import ExposureCheck
from napari_emcad.imaging.intensity import standardize
from napari_emcad.imaging.pixel_check import PixelCheck
from napari_emcad.imaging.ranges import intensity_ranges, normalize_planes, training_planes
from napari_emcad.imaging.tiles import Blend, Tiling, plan_tiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.imaging.range_cache import Ranges
    from napari_emcad.imaging.slices import Index, Slices

    Rows = tuple[int, int]

_TILES_AT_ONCE = 8
"""Tiles of a band that are prepared together, so that few pixels are prepared twice."""


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """A preprocessed part of a slice.

    Attributes
    ----------
    number
        Number of its slice in the job, from 0.
    top, left
        Its corner in the slice.
    pixels
        Network input, ``(inputs, h, w)`` float32.
    """

    number: int
    top: int
    left: int
    pixels: NDArray[np.float32]


class Stitcher(Protocol):
    """Puts one slice together from the logits of its patches, in their order."""

    def add(self, top: int, left: int, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the stitched logits so far, ``(K, h, w)``, of the area that begins there."""
        ...


class Preprocessor:
    """Turns the slices of a job into patches, as `Preprocessing` says.

    Parameters
    ----------
    slices
        The image.
    preprocessing
        Conversion of pixels to network inputs.

    Attributes
    ----------
    exposure
        Whether the bands of large slices are in the range that the model expects.
    pixels
        Whether the pixels that were read are numbers, and not all one.
    """

    def __init__(self, slices: Slices, preprocessing: Preprocessing) -> None:
        self.slices = slices
        self.preprocessing = preprocessing
        self.exposure = ExposureCheck(slices, preprocessing)
        self.pixels = PixelCheck()

    def tiles(self, tiling: Tiling, number: int) -> Iterator[Patch]:
        """Yield the tiles of a slice, row by row.

        A large slice is read in bands of rows, and some tiles of a band are prepared at a time:
        network inputs take up to twelve times the memory of the pixels.
        """
        height, width = tiling.tile
        rows = [(top, top + height) for top in tiling.tops]
        for top, (raw, ranges) in zip(tiling.tops, self._raw_bands(number, rows), strict=True):
            for first in range(0, len(tiling.lefts), _TILES_AT_ONCE):
                lefts = tiling.lefts[first : first + _TILES_AT_ONCE]
                start, stop = lefts[0], lefts[-1] + width
                prepared = self._prepare(raw[:, :, start:stop], ranges)
                for left in lefts:
                    yield Patch(number, top, left, prepared[:, :, left - start :][:, :, :width])

    def bands(self, number: int, spans: Sequence[Rows]) -> Iterator[NDArray[np.float32]]:
        """Yield rows of a slice as network inputs ``(inputs, h, W)``, per half-open span."""
        for raw, ranges in self._raw_bands(number, spans):
            yield self._prepare(raw, ranges)

    def _raw_bands(
        self, number: int, spans: Sequence[Rows]
    ) -> Iterator[tuple[NDArray[Any], Ranges]]:
        """Yield rows of a slice as they are stored ``(C, h, W)``, with its ranges of intensity."""
        index = self.slices.indices[number]
        pixels = self.slices.read(index) if self.slices.fits_in_memory else None
        if pixels is not None:
            self.pixels.add(pixels)
        ranges = intensity_ranges(self.slices, index, self.preprocessing, pixels)
        for rows in spans:
            raw = self.slices.read(index, rows) if pixels is None else pixels[:, slice(*rows)]
            if pixels is None:
                self.exposure.add(raw)
                self.pixels.add(raw)
            yield raw, ranges

    def resized_slice(self, size: tuple[int, int], number: int) -> Iterator[Patch]:
        """Yield a slice resized to `size`, bilinear with anti-aliasing, aspect not kept."""
        index = self.slices.indices[number]
        raw = self.slices.read(index)
        self.pixels.add(raw)
        ranges = intensity_ranges(self.slices, index, self.preprocessing, raw)
        prepared = torch.from_numpy(self._prepare(raw, ranges))[None]
        small = F.interpolate(prepared, size, mode="bilinear", antialias=True)
        yield Patch(number, 0, 0, small[0].numpy())

    def planes(
        self, index: Index, rows: tuple[int, int], columns: tuple[int, int]
    ) -> NDArray[np.float32]:
        """Return a window of a slice as training takes it, see `training_planes`."""
        return training_planes(self.slices, index, self.preprocessing, rows, columns)

    def _prepare(self, raw: NDArray[Any], ranges: Ranges) -> NDArray[np.float32]:
        planes = normalize_planes(raw, ranges, self.preprocessing)
        return standardize(self.slices.planes_to_inputs(planes), self.preprocessing)


class PatchPlan(Protocol):
    """A way to cut the slices of a job into patches, and to stitch them."""

    @property
    def patches_per_slice(self) -> int:
        """Number of patches of one slice."""
        ...

    def patches(self, preprocessor: Preprocessor, number: int) -> Iterator[Patch]:
        """Yield the patches of one slice."""
        ...

    def stitcher(self, classes: int) -> Stitcher:
        """Return what puts one slice together."""
        ...


@dataclass(frozen=True, slots=True)
class Tiled:
    """Native resolution in overlapping tiles."""

    tiling: Tiling

    @property
    def patches_per_slice(self) -> int:
        """Number of tiles of one slice."""
        return len(self.tiling)

    def patches(self, preprocessor: Preprocessor, number: int) -> Iterator[Patch]:
        """Yield the tiles of one slice."""
        return preprocessor.tiles(self.tiling, number)

    def stitcher(self, classes: int) -> Stitcher:
        """Return a weighted blending of the tiles."""
        return Blend(self.tiling, classes)


@dataclass(frozen=True, slots=True)
class Resized:
    """Slices resized to one size, and their logits resized back."""

    size: tuple[int, int]
    shape: tuple[int, int]
    patches_per_slice: int = 1

    def patches(self, preprocessor: Preprocessor, number: int) -> Iterator[Patch]:
        """Yield the resized slice."""
        return preprocessor.resized_slice(self.size, number)

    def stitcher(self, classes: int) -> Stitcher:
        """Return this, whose `add` resizes logits back."""
        return self

    def add(self, top: int, left: int, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return logits at the slice's own size, bilinear."""
        small = torch.from_numpy(logits)[None]
        full = F.interpolate(small, self.shape, mode="bilinear", align_corners=False)
        return full[0].numpy()


def make_plan(slices: Slices, preprocessing: Preprocessing, tile: int, overlap: float) -> PatchPlan:
    """Return how the slices are cut; `tile` is the side that the network sees, zoom included."""
    shape = (slices.height, slices.width)
    if preprocessing.size is not None:
        return Resized(preprocessing.size, shape)
    return Tiled(plan_tiles(shape, tile, overlap, preprocessing.zoom))
