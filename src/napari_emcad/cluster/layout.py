"""How an image is cut into parts: complete slices, or bands of rows of large slices."""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm
from typing import TYPE_CHECKING

from napari_emcad.imaging.parts import Part
from napari_emcad.imaging.tiles import plan_tiles

if TYPE_CHECKING:
    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.imaging.slices import Slices
    from napari_emcad.inference.events import InferenceSettings

ALIGNED = 1024
"""Bands are as high as a multiple of this, the side of the chunks of OME-Zarr labels."""

_PER_WORKER = 4
"""Parts per worker that balance the load, where an image has enough slices or rows."""

_TILES = 8
"""Height of a band in tiles, at least: rows of tiles at its edges are computed twice."""

_MOST_PIXELS, _MOST_BYTES = 2**24, 2**28
"""Most pixels of a part of several slices, and most bytes of the labels of a band or slice."""

_BATCH_PIXELS = 512**2
"""Pixels of a batch on a CPU; parts of complete batches share none with the next part."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The cut of an image into parts.

    Attributes
    ----------
    slices
        Number of complete slices per part.
    band
        Height of the bands in which every slice is computed; None for complete slices.
    """

    slices: int = 1
    band: int | None = None

    def parts(self, count: int) -> list[Part]:
        """Return the parts of an image of so many slices; those that bands are put together to."""
        step = 1 if self.band else self.slices
        return [Part(first, min(first + step, count)) for first in range(0, count, step)]

    def bands(self, part: Part, height: int) -> list[Part]:
        """Return the bands of a slice, none if it is computed in one piece."""
        if self.band is None:
            return []
        tops = range(0, height, self.band)
        return [Part(part.first, part.stop, (top, min(top + self.band, height))) for top in tops]


def choose_layout(
    slices: Slices,
    preprocessing: Preprocessing,
    settings: InferenceSettings,
    classes: int,
    workers: int,
) -> Layout:
    """Return a cut that keeps so many workers busy; the result does not depend on it."""
    pixel = 1 + (4 * classes if settings.probabilities else 0) + (4 if settings.stretch else 0)
    most_pixels = _MOST_BYTES // pixel
    count, height, width = len(slices.indices), slices.height, slices.width
    wanted = _PER_WORKER * max(workers, 1)
    if preprocessing.size is not None:
        area, per_slice = preprocessing.size[0] * preprocessing.size[1], 1
    else:
        tiling = plan_tiles((height, width), settings.tile, settings.overlap, preprocessing.zoom)
        area = round(tiling.tile[0] * tiling.tile[1] * preprocessing.zoom**2)
        per_slice = len(tiling)
        least = _aligned(_TILES * tiling.tile[0])
        most = max(most_pixels // width // ALIGNED, 1) * ALIGNED
        band = max(min(_aligned(-(-height * count // wanted)), most), min(least, most))
        if (count < wanted and height > band) or height * width > most_pixels:
            return Layout(1, band)
    batch = settings.batch or max(_BATCH_PIXELS // area, 1)
    aligned = lcm(batch, per_slice) // per_slice
    fitting = max(_MOST_PIXELS // (height * width), 1)
    slices_per_part = min(-(-count // wanted), fitting)
    return Layout(-(-slices_per_part // aligned) * aligned)


def _aligned(rows: int) -> int:
    return -(-rows // ALIGNED) * ALIGNED
