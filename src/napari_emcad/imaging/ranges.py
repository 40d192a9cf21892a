"""Ranges of intensity of an image, and planes that are normalized with them.

The range of a pixel belongs to its slice or its stack at the finest resolution. It does not depend
on the part of the image that is worked on.
"""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.imaging.fingerprint import checksum
from napari_emcad.imaging.intensity import normalize, value_range

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import NDArray

    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.imaging.range_cache import Ranges
    from napari_emcad.imaging.slices import Index, Slices

SLICES_FOR_RANGE = 64
"""Number of evenly spaced slices that percentiles over a stack are computed from."""

_FINGERPRINT_BYTES = 2**24
"""Bytes that tell whether pixels were changed in place."""


def intensity_ranges(
    slices: Slices,
    index: Index,
    preprocessing: Preprocessing,
    pixels: NDArray[Any] | None = None,
) -> Ranges:
    """Return the values that become 0 and 1 in a slice: one range for all planes, or one for each.

    Percentiles are those of the whole slice (or stack) at the finest level, for any scope, and are
    computed once per image.

    Parameters
    ----------
    slices
        The image.
    index
        Position of the slice along the stacked axes.
    preprocessing
        Kind of range, its ends or percentiles, and what they are computed from.
    pixels
        ``(planes, H, W)`` of the slice within the scope, if they were read already.
    """
    if preprocessing.intensity != "percentile":
        return ((preprocessing.low, preprocessing.high),)
    whole = slices.whole
    positions = _positions(slices, index, preprocessing)
    pooled = preprocessing.pools(whole.is_color_picture)

    def compute() -> Ranges:
        if preprocessing.over == "slice" and slices.covers_slices and pixels is not None:
            sample = pixels.reshape(1 if pooled else len(pixels), -1)
        else:
            sample = _sample(whole, positions, pooled)
        return tuple(value_range(row, preprocessing) for row in sample)

    percentiles = preprocessing.low, preprocessing.high
    at = index if preprocessing.over == "slice" else None
    key = whole.axes, whole.channels, at, percentiles, pooled
    return slices.ranges.get(key, _fingerprint(whole, positions), compute)


def normalize_planes(
    pixels: NDArray[np.generic], ranges: Ranges, preprocessing: Preprocessing
) -> NDArray[np.float32]:
    """Return planes ``(planes, H, W)`` scaled to 0 … 1 by `intensity_ranges`; see `normalize`."""
    if len(ranges) == 1:
        return normalize(pixels, ranges[0], preprocessing)
    planes = zip(pixels, ranges, strict=True)
    return np.stack([normalize(plane, values, preprocessing) for plane, values in planes])


def training_planes(
    slices: Slices,
    index: Index,
    preprocessing: Preprocessing,
    rows: tuple[int, int] | None = None,
    columns: tuple[int, int] | None = None,
) -> NDArray[np.float32]:
    """Return a window of a slice, normalized but not standardized, as training takes it.

    Parameters
    ----------
    slices
        The image.
    index
        Position along the stacked axes.
    preprocessing
        Normalization of intensities.
    rows, columns
        Half-open ranges of the window; None takes all.

    Returns
    -------
    NDArray
        ``(1 or inputs, h, w)``: a plane that feeds all inputs is returned once.
    """
    raw = slices.read(index, rows)[:, :, slice(*(columns or (None,)))]
    planes = normalize_planes(raw, intensity_ranges(slices, index, preprocessing), preprocessing)
    feeds_all = set(slices.channels.inputs) == {0}
    return planes if feeds_all else slices.planes_to_inputs(planes)


def _positions(slices: Slices, index: Index, preprocessing: Preprocessing) -> list[Index]:
    """Return the slices of the finest level that a range is computed from."""
    fine = slices.whole.indices
    if preprocessing.over == "stack":
        count = min(len(fine), SLICES_FOR_RANGE)
        chosen = np.unique(np.linspace(0, len(fine) - 1, count).round().astype(int))
        return [fine[n] for n in chosen.tolist()]
    sizes = zip(slices.stacked_shape, slices.whole.stacked_shape, strict=True)
    return [tuple((2 * i + 1) * size // (2 * n) for i, (n, size) in zip(index, sizes, strict=True))]


def _sample(whole: Slices, positions: list[Index], pooled: bool) -> NDArray[Any]:
    """Return pixels of slices, ``(1 or planes, n)``; the more slices, the fewer of each."""
    step = len(positions)
    while gcd(step, whole.width) > 1:  # else only some columns would be sampled
        step += 1
    samples = [whole.sample(index) for index in positions]
    rows = [sample.reshape(1 if pooled else len(sample), -1)[:, ::step] for sample in samples]
    return np.concatenate(rows, axis=1)


def _fingerprint(whole: Slices, positions: list[Index]) -> Hashable:
    """Return a checksum of the slices of an array in memory; None for arrays that are read."""
    if not isinstance(whole.image, np.ndarray) or isinstance(whole.image, np.memmap):
        return None
    stacked = [letter for letter in whole.spatial_axes if letter not in "YX"]
    most_bytes = _FINGERPRINT_BYTES // len(positions)
    parts = []
    for index in positions:
        at = dict(zip(stacked, index, strict=True))
        pixels = whole.image[tuple(at.get(letter, slice(None)) for letter in whole.axes)]
        parts.append(checksum(pixels, most_bytes))
    return tuple(parts)
