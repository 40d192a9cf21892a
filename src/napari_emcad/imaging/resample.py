"""Compute parts of an enlarged or reduced slice without the rest of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array

if TYPE_CHECKING:
    from numpy.typing import NDArray


def resampling_weights(length: int, new_length: int, positions: NDArray[np.integer]) -> csr_array:
    """Return the weights of a line's entries in some entries of the resampled line.

    Bilinear; with anti-aliasing where the line becomes shorter. The weights are those of torch's
    ``interpolate`` with ``antialias=True``, so parts are equal to parts of a line that it resized.

    Parameters
    ----------
    length
        Number of entries of the line.
    new_length
        Number of entries of the resampled line.
    positions
        The wanted entries of the resampled line, 0 … `new_length` - 1, in any order.

    Returns
    -------
    csr_array
        ``(len(positions), length)`` float32; rows sum to 1.
    """
    scale = length / new_length
    reach = max(scale, 1.0)
    center = (positions + 0.5) * scale
    first = np.maximum((center - reach + 0.5).astype(int), 0)
    last = np.minimum((center + reach + 0.5).astype(int), length)
    columns = first[:, None] + np.arange(int((last - first).max()))
    weights = np.maximum(1 - np.abs((columns + 0.5 - center[:, None]) / reach), 0)
    weights[columns >= last[:, None]] = 0
    weights /= weights.sum(1, keepdims=True)
    rows, within = np.nonzero(weights)
    entries = weights[rows, within].astype(np.float32)
    shape = (len(positions), length)
    return csr_array((entries, (rows, columns[rows, within])), shape=shape)


def source_range(weights: csr_array) -> tuple[int, int]:
    """Return the half-open range of the line's entries that have a weight."""
    return int(weights.indices.min()), int(weights.indices.max()) + 1


def resample(
    planes: NDArray[np.float32], rows: csr_array | None, columns: csr_array | None
) -> NDArray[np.float32]:
    """Return ``(C, h, w)`` from ``(C, H, W)`` by the weights of rows, columns or both."""
    result: Any = planes
    if rows is not None:
        result = [rows @ plane for plane in result]
    if columns is not None:
        result = [(columns @ plane.T).T for plane in result]
    return np.stack(result)
