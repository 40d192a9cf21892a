"""Tiles of a wide slice are prepared some at a time, with the numbers of the whole row."""

from __future__ import annotations

import numpy as np
import pytest

from napari_emcad.imaging.slices import as_slices
from napari_emcad.imaging.tiles import plan_tiles
from napari_emcad.inference.patches import Preprocessor


@pytest.mark.parametrize("intensity", ["none", "range", "percentile"])
@pytest.mark.parametrize(
    ("width", "overlap", "channels"), [(2000, 0.25, 3), (711, 0.9, 1), (40, 0, 1)]
)
def test_tiles_are_those_of_complete_rows(checkpoint, intensity, width, overlap, channels):
    model = checkpoint().override(intensity=intensity, low=1, high=99)
    random = np.random.default_rng(0)
    image = random.integers(0, 255, (70, width, 3)[: 2 + (channels > 1)], dtype=np.uint8)
    slices = as_slices(image, 3, "YXC"[: image.ndim])
    tiling = plan_tiles((70, width), 64, overlap)
    preprocessor, widths = Preprocessor(slices, model.preprocessing), []
    prepare = preprocessor._prepare

    def prepare_and_measure(raw, ranges):
        widths.append(raw.shape[-1])
        return prepare(raw, ranges)

    preprocessor._prepare = prepare_and_measure
    tiles = list(preprocessor.tiles(tiling, 0))
    assert max(widths) <= 8 * 64
    assert sum(widths) <= 1.25 * width * len(tiling.tops) / (1 - overlap) + 64 * len(tiling.tops)
    bands = preprocessor.bands(0, [(top, top + tiling.tile[0]) for top in tiling.tops])
    expected = [band[:, :, left : left + tiling.tile[1]] for band in bands for left in tiling.lefts]
    assert len(tiles) == len(expected)
    for tile, pixels in zip(tiles, expected, strict=True):
        np.testing.assert_array_equal(tile.pixels, pixels)
