"""Read a plane of an array, which may be lazy and not what it promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_KINDS = {"b": "boolean", "i": "whole numbers", "u": "whole numbers", "f": "floating point"}


class BrokenPlaneError(ValueError):
    """A plane of an array cannot be read, or has another shape or type than the array promises."""


def read_plane(image: Any, where: Sequence[int | slice], axes: str) -> NDArray[Any]:
    """Return a part of an array, indexed once.

    Parameters
    ----------
    image
        An array with `shape` and `dtype`: numpy, dask, zarr, …
    where
        A position or a slice per axis.
    axes
        One letter per axis, for messages.

    Raises
    ------
    BrokenPlaneError
        If the part has another shape, or another kind of numbers, than the array promises, or
        cannot be read; the message names the plane and what is wrong.
    """
    pixels = _read(image, where, axes)
    pairs = list(zip(where, image.shape, strict=True))
    promised = tuple(len(range(*at.indices(size))) for at, size in pairs if isinstance(at, slice))
    if pixels.shape != promised:
        raise BrokenPlaneError(
            f"{_name(where, axes)} has shape {pixels.shape}; the array of shape "
            f"{tuple(image.shape)} promises {promised} there. Correct the function or the file "
            f"that it is read from."
        )
    found, expected = _KINDS.get(pixels.dtype.kind), _KINDS.get(np.dtype(image.dtype).kind)
    if found != expected:
        raise BrokenPlaneError(
            f"{_name(where, axes)} has the type {pixels.dtype}; the array promises {image.dtype}. "
            f"Correct the function or the file that it is read from."
        )
    return pixels


def _read(image: Any, where: Sequence[int | slice], axes: str) -> NDArray[Any]:
    """Index an array; decoders raise errors of any type for damaged chunks."""
    try:
        return np.asarray(image[tuple(where)])
    except (ValueError, MemoryError):
        raise
    except Exception as error:
        text = str(error).strip() or type(error).__name__
        if "out of memory" in text.lower():
            raise
        raise BrokenPlaneError(
            f"{_name(where, axes)} cannot be read ({text.splitlines()[0].rstrip('.')}); its file "
            f"is damaged there, copy it again."
        ) from error


def _name(where: Sequence[int | slice], axes: str) -> str:
    """Return the position of a plane, such as "The plane T = 3, Z = 0"."""
    position = [
        f"{axis} = {at}" for axis, at in zip(axes, where, strict=True) if not isinstance(at, slice)
    ]
    return f"The plane {', '.join(position)}" if position else "The plane of the image"
