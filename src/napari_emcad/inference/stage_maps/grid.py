"""The network's own pixel grid on a slice: how tiles are cut on it, and where maps lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_emcad.imaging.resample import resample, resampling_weights, source_range
from napari_emcad.imaging.tiles import Tiling, plan_tiles
from napari_emcad.inference.patches import Patch
from napari_emcad.model.config import MULTIPLE, STRIDES
from napari_emcad.model.padding import reflect_indices
from napari_emcad.model.resize import zoomed_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scipy.sparse import csr_array

    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.imaging.slices import Slices
    from napari_emcad.inference.patches import Preprocessor


@dataclass(frozen=True, slots=True)
class Grid:
    """The pixels that a network sees of slices of one size; made by `make_grid`.

    The network's pixels are counted over the whole slice, enlarged or resized as the checkpoint
    says and padded to a multiple of 32. Tiles begin on multiples of 32 of them, so that a pixel of
    a stage's map is the same one in every tile.

    Attributes
    ----------
    shape
        Height and width of the slice.
    input_size
        Height and width that the network sees of it, without padding.
    unit_tiling
        The tiles, in units of 32 of the network's pixels.
    """

    shape: tuple[int, int]
    input_size: tuple[int, int]
    unit_tiling: Tiling

    def __len__(self) -> int:
        return len(self.unit_tiling)

    def tiling(self, stage: int) -> Tiling:
        """Return the tiles in pixels of a stage's padded map."""
        by = MULTIPLE // STRIDES[stage]
        units = self.unit_tiling
        (height, width), (rows, columns) = units.shape, units.tile
        tops, lefts = (tuple(by * start for start in s) for s in (units.tops, units.lefts))
        return Tiling((by * height, by * width), (by * rows, by * columns), tops, lefts)

    def map_shape(self, stage: int) -> tuple[int, int]:
        """Return height and width of a stage's map without what lies on padding alone."""
        height, width = (-(-side // STRIDES[stage]) for side in self.input_size)
        return height, width

    def factor(self, stage: int) -> tuple[float, float]:
        """Return how many pixels of the slice one pixel of the stage's map covers."""
        y, x = (STRIDES[stage] * s / n for s, n in zip(self.shape, self.input_size, strict=True))
        return y, x

    def patches(self, preprocessor: Preprocessor, number: int) -> Iterator[Patch]:
        """Yield the tiles of a slice, row by row; top and left are in the network's pixels."""
        rows = self._weights(axis=0, starts=self.unit_tiling.tops)
        columns = self._weights(axis=1, starts=self.unit_tiling.lefts)
        bands = preprocessor.bands(number, [source_range(weights) for weights in rows])
        for top, down, band in zip(self.unit_tiling.tops, rows, bands, strict=True):
            first, last = source_range(down)
            resized_rows = resample(band, down[:, first:last], None)
            for left, across in zip(self.unit_tiling.lefts, columns, strict=True):
                pixels = resample(resized_rows, None, across)
                yield Patch(number, MULTIPLE * top, MULTIPLE * left, pixels)

    def _weights(self, axis: int, starts: Sequence[int]) -> list[csr_array]:
        """Return the weights that resample rows or columns of the slice to those of the tiles."""
        length, size, tile = self.shape[axis], self.input_size[axis], self.unit_tiling.tile[axis]
        positions = [np.arange(MULTIPLE * start, MULTIPLE * (start + tile)) for start in starts]
        return [resampling_weights(length, size, reflect_indices(p, size)) for p in positions]


def make_grid(slices: Slices, preprocessing: Preprocessing, tile: int, overlap: float) -> Grid:
    """Return the grid of an image's slices.

    Parameters
    ----------
    slices
        The image.
    preprocessing
        Size or zoom; slices of a fixed size are one tile.
    tile
        Side of a tile in the network's pixels, 32 or more; rounded down to a multiple of 32.
    overlap
        Share of a tile that overlaps with the next, 0 … < 1.
    """
    shape = (slices.height, slices.width)
    input_size = preprocessing.size or zoomed_size(shape, preprocessing.zoom)
    units = (-(-input_size[0] // MULTIPLE), -(-input_size[1] // MULTIPLE))
    side = max(units) if preprocessing.size else tile // MULTIPLE
    return Grid(shape, input_size, plan_tiles(units, side, overlap))
