"""The network's own grid on a slice: tiles cut on it, and where maps lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_emcad.imaging.resample import reflected, resample, resampling_weights, source_range
from napari_emcad.imaging.tiles import Tiling, plan_tiles
from napari_emcad.inference.patches import Patch
from napari_emcad.model.config import MULTIPLE, STRIDES
from napari_emcad.model.resize import zoomed_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.imaging.slices import Slices
    from napari_emcad.inference.patches import Preprocessor


@dataclass(frozen=True, slots=True)
class Grid:
    """How slices of one size look to the network; made by `make_grid`.

    The network's pixels are counted over the whole slice, enlarged or resized as the checkpoint
    says and padded to a multiple of 32. Tiles begin on multiples of 32 of them, so that pixels of
    every stage's map are the same ones in each tile.

    Attributes
    ----------
    shape
        Height and width of the slice.
    seen
        Height and width that the network sees of it, without padding.
    cut
        The tiles, in units of 32 of the network's pixels.
    """

    shape: tuple[int, int]
    seen: tuple[int, int]
    cut: Tiling

    def __len__(self) -> int:
        return len(self.cut)

    def tiling(self, stage: int) -> Tiling:
        """Return the tiles in pixels of a stage's padded map."""
        by = MULTIPLE // STRIDES[stage]
        (height, width), (rows, columns) = self.cut.shape, self.cut.tile
        tops, lefts = (tuple(by * each for each in s) for s in (self.cut.tops, self.cut.lefts))
        return Tiling((by * height, by * width), (by * rows, by * columns), tops, lefts)

    def map_shape(self, stage: int) -> tuple[int, int]:
        """Return height and width of a stage's map without what is padding alone."""
        height, width = (-(-each // STRIDES[stage]) for each in self.seen)
        return height, width

    def factor(self, stage: int) -> tuple[float, float]:
        """Return how many pixels of the slice a pixel of the stage's map covers."""
        y, x = (STRIDES[stage] * s / n for s, n in zip(self.shape, self.seen, strict=True))
        return y, x

    def patches(self, preprocessor: Preprocessor, number: int) -> Iterator[Patch]:
        """Yield the tiles of a slice, row by row; top and left are in the network's pixels."""
        rows, columns = (
            [
                resampling_weights(
                    length, seen, reflected(MULTIPLE * a, MULTIPLE * (a + tile), seen)
                )
                for a in starts
            ]
            for length, seen, starts, tile in zip(
                self.shape, self.seen, (self.cut.tops, self.cut.lefts), self.cut.tile, strict=True
            )
        )
        bands = preprocessor.bands(number, [source_range(each) for each in rows])
        for top, down, band in zip(self.cut.tops, rows, bands, strict=True):
            first, last = source_range(down)
            part = resample(band, down[:, first:last], None)
            for left, across in zip(self.cut.lefts, columns, strict=True):
                pixels = resample(part, None, across)
                yield Patch(number, MULTIPLE * top, MULTIPLE * left, pixels)


def make_grid(slices: Slices, preprocessing: Preprocessing, tile: int, overlap: float) -> Grid:
    """Return the grid on the slices; `tile` is the side that the network sees, 32 or more.

    It is rounded down to a multiple of 32. Slices of a fixed size are one tile.
    """
    shape = (slices.height, slices.width)
    seen = preprocessing.size or zoomed_size(shape, preprocessing.zoom)
    units = (-(-seen[0] // MULTIPLE), -(-seen[1] // MULTIPLE))
    side = max(units) if preprocessing.size else tile // MULTIPLE
    return Grid(shape, seen, plan_tiles(units, side, overlap))
