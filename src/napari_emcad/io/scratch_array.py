"""Arrays in temporary files."""

from __future__ import annotations

import os
from math import prod
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def scratch_array(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Return an array of zeros in a temporary file, which is removed with the array.

    Raises
    ------
    OSError
        If the disk is full.
    """
    size = prod(shape) * np.dtype(dtype).itemsize
    if not size:
        return np.zeros(shape, dtype)
    with TemporaryFile(prefix="napari-emcad-") as file:
        if hasattr(os, "posix_fallocate"):  # writing to a mapped hole of a full disk ends Python
            os.posix_fallocate(file.fileno(), 0, size)
        return np.memmap(file, dtype, "w+", shape=shape)
