"""Check that an object is an image array, and why it is not."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from napari_emcad.imaging.axes import check_rank


def as_array(image: Any) -> Any:
    """Return an array that can be indexed unchanged, and a list or a tensor as a NumPy array.

    Raises
    ------
    TypeError
        If it is a group of arrays, or NumPy cannot read it.
    """
    if hasattr(image, "shape") and hasattr(image, "dtype") and _has_numpy_dtype(image):
        return image
    if hasattr(image, "keys") and not hasattr(image, "shape"):
        raise TypeError(
            f"The image is a {type(image).__name__} of several arrays; choose one of them, as in "
            f"group['0']."
        )
    try:
        return np.asarray(image)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(
            f"The image is a {type(image).__name__} that NumPy cannot read; pass an array (of a "
            f"tensor detach().cpu().numpy())."
        ) from None


def _has_numpy_dtype(image: Any) -> bool:
    """Whether NumPy knows the dtype; it does not know that of a tensor."""
    try:
        np.dtype(image.dtype)
    except TypeError:
        return False
    return True


def check_pixels(image: Any) -> None:
    """Refuse arrays that are not images of real numbers.

    Raises
    ------
    TypeError
        If the pixels are not real numbers.
    ValueError
        If the image is empty, has fewer than two axes, an unknown shape or masked pixels.
    """
    kind = np.dtype(image.dtype).kind
    if kind == "c":
        raise TypeError("The image is complex; segment its magnitude (numpy.abs) instead.")
    if kind not in "biuf":
        raise TypeError(f"The image has the type {image.dtype}, not numbers; convert it first.")
    if any(size != size for size in image.shape):  # NaN
        raise ValueError(
            f"The image's shape {tuple(image.shape)} is not known; call its compute_chunk_sizes() "
            f"first."
        )
    if not all(image.shape):
        raise ValueError(f"The image is empty: its shape is {tuple(image.shape)}.")
    if np.ma.is_masked(image):
        raise ValueError("The image has masked pixels; fill them first, as image.filled(0) does.")
    check_rank(tuple(image.shape))


def array_digest(array: Any) -> str:
    """Return a checksum of the shape, type and values of an array that NumPy can read."""
    values = np.ascontiguousarray(array)
    values = values.astype(values.dtype.newbyteorder("<"), copy=False)
    digest = hashlib.blake2b(f"{values.shape} {values.dtype.str}".encode(), digest_size=16)
    digest.update(values.data)
    return digest.hexdigest()
