"""Images in several resolutions, and files that are too large to be read at once."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import tifffile

from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.images.optional_libraries import optional_library

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

LAZY_BYTES = 2**30
"""Compressed images above this size are decoded where they are needed, not all at once."""


def check_level(path: Path, level: int | None, count: int) -> int:
    """Return the level to read of an image that has `count` of them; None is the finest, 0.

    Raises
    ------
    ImageFileError
        If the image does not have it.
    """
    if level is not None and not 0 <= level < count:
        raise ImageFileError(
            f"{path} has no level {level}; its levels are 0 (the finest) to {count - 1}."
            if count > 1
            else f"{path} has one resolution; leave out --level {level}."
        )
    return level or 0


def level_scale(
    scale: Mapping[str, float], axes: str, finest: Sequence[int], shape: Sequence[int]
) -> dict[str, float]:
    """Return the size of a pixel in a level, by axis letter.

    Parameters
    ----------
    scale
        That of the finest level.
    axes
        A letter per axis of both shapes.
    finest, shape
        Shapes of the finest level and of the level.
    """
    factors = dict(zip(axes, zip(finest, shape, strict=True), strict=True))
    return {
        axis: size * factors[axis][0] / factors[axis][1] if axis in factors else size
        for axis, size in scale.items()
    }


def lazy_tiff(path: Path, level: int) -> Any:
    """Return an array that decodes the tiles of a level of a TIFF file where it is indexed.

    Raises
    ------
    ImageFileError
        If zarr is not installed.
    """
    zarr = optional_library("zarr", path, "zarr")
    store = tifffile.imread(path, aszarr=True, series=0, level=level, _multifile=False)
    array = zarr.open_array(store, mode="r")
    weakref.finalize(array, store.close)
    return array
