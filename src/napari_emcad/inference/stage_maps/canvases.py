"""Blend the maps of tiles into the maps of a slice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_emcad.imaging.tiles import Blend
from napari_emcad.model.config import STRIDES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_emcad.inference.patches import Patch
    from napari_emcad.inference.stage_maps.grid import Grid
    from napari_emcad.inference.stage_maps.keys import MapKey
    from napari_emcad.inference.stage_maps.recorder import RecordedMaps


class Canvases:
    """The maps of one slice, blended from those of its tiles.

    Parameters
    ----------
    grid
        Grid of the slice.

    Attributes
    ----------
    maps
        ``(C, h, w)`` by key, padding included.
    """

    def __init__(self, grid: Grid) -> None:
        self.maps: RecordedMaps = {}
        self._grid = grid
        self._blends: dict[MapKey, Blend] = {}
        self._tiles = 0

    def add(self, patch: Patch, recorded: RecordedMaps) -> None:
        """Blend the maps of a tile in; the tiles come row by row."""
        self._tiles += 1
        for key, tile in recorded.items():
            if key.spec.has_place:
                self._blend(key, patch, tile)
            else:
                mean = self.maps.setdefault(key, np.zeros_like(tile))
                mean += (tile - mean) / self._tiles

    def _blend(self, key: MapKey, patch: Patch, tile: NDArray[np.float32]) -> None:
        if len(self._grid) == 1:
            self.maps[key] = tile
            return
        stage = key.map_stage
        if key not in self._blends:
            tiling = self._grid.tiling(stage)
            self._blends[key] = Blend(tiling, len(tile))
            self.maps[key] = np.zeros((len(tile), *tiling.shape), np.float32)
        top, left = patch.top // STRIDES[stage], patch.left // STRIDES[stage]
        mean = self._blends[key].add(top, left, tile)
        height, width = tile.shape[1:]
        self.maps[key][:, top : top + height, left : left + width] = mean
