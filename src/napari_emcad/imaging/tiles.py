"""Cut a slice into overlapping tiles, and blend the network's output for them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_SIGMA = 0.125
"""Standard deviation of the blending window over the tile's side."""

_FLOOR = 1e-3
"""Smallest weight, so that no pixel is divided by 0."""


@dataclass(frozen=True, slots=True)
class Tiling:
    """The tiles of slices of one size; made by `plan_tiles`.

    Attributes
    ----------
    shape
        Height and width of the slice.
    tile
        Height and width of the tiles, at most the slice's.
    tops, lefts
        First rows and columns of the tiles.
    """

    shape: tuple[int, int]
    tile: tuple[int, int]
    tops: tuple[int, ...]
    lefts: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.tops) * len(self.lefts)

    def __iter__(self) -> Iterator[tuple[slice, slice]]:
        """Yield rows and columns of the tiles, row by row."""
        height, width = self.tile
        for top in self.tops:
            for left in self.lefts:
                yield slice(top, top + height), slice(left, left + width)


def plan_tiles(shape: tuple[int, int], tile: int, overlap: float, zoom: float = 1.0) -> Tiling:
    """Return the tiles that cover a slice.

    Parameters
    ----------
    shape
        Height and width of the slice in pixels.
    tile
        Side of a tile in pixels that the network sees; a smaller slice is one tile of its own
        size.
    overlap
        Share of a tile's side that overlaps with the next tile, 0 … < 1.
    zoom
        Factor by which the slice is enlarged for the network.

    Raises
    ------
    ValueError
        If tile or overlap are out of bounds.
    """
    if tile < 1:
        raise ValueError(f"The tile side is {tile}; it must be at least 1 pixel.")
    if not 0 <= overlap < 1:
        raise ValueError(f"The overlap is {overlap}; it must be at least 0 and below 1.")
    height, width = (min(max(round(tile / zoom), 1), side) for side in shape)
    return Tiling(
        shape,
        (height, width),
        _starts(shape[0], height, overlap),
        _starts(shape[1], width, overlap),
    )


def _starts(length: int, tile: int, overlap: float) -> tuple[int, ...]:
    step = max(1, int(tile * (1 - overlap)))
    count = 1 + -(-(length - tile) // step)
    return tuple(min(i * step, length - tile) for i in range(count))


@lru_cache(maxsize=8)
def blending_window(height: int, width: int) -> NDArray[np.float32]:
    """Return the weights of a tile's pixels, ``(height, width)``: a Gaussian, 1 at the center."""
    bell = np.outer(_gaussian(height), _gaussian(width))
    weights: NDArray[np.float32] = np.maximum(bell, _FLOOR, dtype=np.float64).astype(np.float32)
    weights.setflags(write=False)
    return weights


def _gaussian(length: int) -> NDArray[np.float64]:
    offset = np.arange(length) - (length - 1) / 2
    bell: NDArray[np.float64] = np.exp(-0.5 * (offset / (_SIGMA * length)) ** 2)
    return bell


class Blend:
    """Weighted mean of the overlapping tiles of a slice, in a buffer as high as a tile.

    Tiles come row by row, from top to bottom. `add` returns the mean so far in the area of the new
    tile; a pixel is final after the last tile that covers it. Writing all returned areas one over
    another therefore gives the blended slice.

    Parameters
    ----------
    tiling
        Tiling of the slice.
    classes
        Number of channels of the blended maps.
    """

    def __init__(self, tiling: Tiling, classes: int) -> None:
        height, width = tiling.tile[0], tiling.shape[1]
        self._window = blending_window(*tiling.tile)
        self._sums = np.zeros((classes, height, width), np.float32)
        self._weights = np.zeros((height, width), np.float32)
        self._top = 0

    def add(self, top: int, left: int, tile: NDArray[np.float32]) -> NDArray[np.float32]:
        """Blend a tile in and return the mean so far in its area.

        Parameters
        ----------
        top, left
            Corner of the tile in the slice.
        tile
            ``(K, height, width)``.
        """
        self._scroll_to(top)
        columns = slice(left, left + tile.shape[2])
        self._sums[:, :, columns] += tile * self._window
        self._weights[:, columns] += self._window
        return self._sums[:, :, columns] / self._weights[:, columns]

    def _scroll_to(self, top: int) -> None:
        step = min(top - self._top, len(self._weights))
        if step:
            for rows in (self._weights, *self._sums):
                rows[:-step] = rows[step:].copy()
                rows[-step:] = 0
            self._top = top
