"""Checksums of image arrays, to notice other pixels behind the same name or the same object."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.imaging.arrays import array_digest

if TYPE_CHECKING:
    from collections.abc import Mapping

_SAMPLED = 64
"""Rows and columns of the middle slice that `image_fingerprint` reads."""

_MOST_BYTES = 2**28
"""Bytes that `checksum` reads by default."""


def image_fingerprint(array: Any) -> dict[str, Any]:
    """Return shape, dtype and a hash of some pixels of an image, as plain values for JSON.

    Parameters
    ----------
    array
        Image array of any kind; a part of its middle slice is read.
    """
    middle = tuple(size // 2 for size in array.shape[:-3])
    sides = array.shape[-3:]
    steps = tuple(slice(None, None, max(size // _SAMPLED, 1)) for size in sides)
    digest = array_digest(array[(*middle, *steps)])
    return {"shape": list(map(int, array.shape)), "dtype": str(array.dtype), "pixels": digest}


def is_image_of(fingerprint: Mapping[str, Any], array: Any) -> bool:
    """Return whether an image array has a fingerprint; pixels are read only if the rest agrees."""
    same_shape = list(array.shape) == list(fingerprint["shape"])
    if not same_shape or str(array.dtype) != fingerprint["dtype"]:
        return False
    return bool(image_fingerprint(array)["pixels"] == fingerprint["pixels"])


def checksum(array: Any, most_bytes: int = _MOST_BYTES) -> int:
    """Return a checksum of the pixels of a NumPy array, to notice changes in place.

    Parameters
    ----------
    array
        Array of any shape.
    most_bytes
        Bytes to read; of a larger array evenly spaced entries along its first axes.
    """
    pixels = np.asarray(array)
    axis = 0
    while pixels.nbytes > most_bytes and axis < pixels.ndim:
        step = -(-pixels.nbytes // most_bytes)
        pixels = pixels[(*[slice(None)] * axis, slice(None, None, min(step, pixels.shape[axis])))]
        axis += 1
    return zlib.crc32(np.ascontiguousarray(pixels).view(np.uint8).reshape(-1).data)
