"""Slices cut into the patches that a network sees at once, and stitched from their logits."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch.nn import functional as F

from napari_emcad.imaging.intensity import normalize, standardize, value_range
from napari_emcad.imaging.tiles import Blend, Tiling, plan_tiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from napari_emcad.imaging.intensity import Preprocessing, ValueRange
    from napari_emcad.imaging.slices import Index, Slices

_SLICES_FOR_RANGE = 64
"""Number of evenly spaced slices that percentiles over a stack are computed from."""


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
    """

    def __init__(self, slices: Slices, preprocessing: Preprocessing) -> None:
        self.slices = slices
        self.preprocessing = preprocessing
        self._stack_range: ValueRange | None = None
        self._slice_range: tuple[Index, ValueRange] | None = None

    def tiles(self, tiling: Tiling, number: int) -> Iterator[Patch]:
        """Yield the tiles of a slice, row by row; a large slice is read in bands of rows."""
        height, width = tiling.tile
        bands = self.bands(number, [(top, top + height) for top in tiling.tops])
        for top, band in zip(tiling.tops, bands, strict=True):
            for left in tiling.lefts:
                yield Patch(number, top, left, band[:, :, left : left + width])

    def bands(self, number: int, spans: Sequence[tuple[int, int]]) -> Iterator[NDArray[np.float32]]:
        """Yield rows of a slice as network inputs ``(inputs, h, W)``, per half-open span."""
        index = self.slices.indices[number]
        pixels = self.slices.read(index) if self.slices.fits_in_memory else None
        values = self._range(index, pixels)
        for rows in spans:
            raw = self.slices.read(index, rows) if pixels is None else pixels[:, slice(*rows)]
            yield self._prepare(raw, values)

    def resized_slice(self, size: tuple[int, int], number: int) -> Iterator[Patch]:
        """Yield a slice resized to `size`, bilinear with anti-aliasing, aspect not kept."""
        index = self.slices.indices[number]
        raw = self.slices.read(index)
        prepared = torch.from_numpy(self._prepare(raw, self._range(index, raw)))[None]
        small = F.interpolate(prepared, size, mode="bilinear", antialias=True)
        yield Patch(number, 0, 0, small[0].numpy())

    def planes(
        self, index: Index, rows: tuple[int, int], columns: tuple[int, int]
    ) -> NDArray[np.float32]:
        """Return a window of a slice, normalized but not standardized, as training takes it.

        Parameters
        ----------
        index
            Position along the stacked axes.
        rows, columns
            Half-open ranges of the window.

        Returns
        -------
        NDArray
            ``(1 or inputs, h, w)``: a single plane stays single, it feeds all inputs.
        """
        pixels = self.slices.read(index) if self.slices.fits_in_memory else None
        raw = self.slices.read(index, rows) if pixels is None else pixels[:, slice(*rows)]
        part = raw[:, :, slice(*columns)]
        planes = normalize(part, self._range(index, pixels), self.preprocessing)
        return planes if len(planes) == 1 else self.slices.planes_to_inputs(planes)

    def _prepare(self, raw: NDArray[Any], values: ValueRange) -> NDArray[np.float32]:
        planes = normalize(raw, values, self.preprocessing)
        return standardize(self.slices.planes_to_inputs(planes), self.preprocessing)

    def _range(self, index: Index, pixels: NDArray[Any] | None) -> ValueRange:
        """Return the values that become 0 and 1; `pixels` are those of the slice, if known."""
        if self.preprocessing.intensity != "percentile":
            return self.preprocessing.low, self.preprocessing.high
        if self.preprocessing.over == "slice":
            if self._slice_range is None or self._slice_range[0] != index:
                sample = self.slices.sample(index) if pixels is None else pixels
                self._slice_range = index, value_range(sample, self.preprocessing)
            return self._slice_range[1]
        if self._stack_range is None:
            self._stack_range = self._range_over_stack()
        return self._stack_range

    def _range_over_stack(self) -> ValueRange:
        indices = self.slices.indices
        count = min(len(indices), _SLICES_FOR_RANGE)
        chosen = np.unique(np.linspace(0, len(indices) - 1, count).round().astype(int))
        step = len(chosen)
        while gcd(step, self.slices.width) > 1:  # a common divisor would sample some columns only
            step += 1
        samples = [self.slices.sample(indices[i]).reshape(-1)[::step] for i in chosen]
        return value_range(np.concatenate(samples), self.preprocessing)


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
