"""Parts of an enlarged or reduced slice, without the whole of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array

if TYPE_CHECKING:
    from numpy.typing import NDArray


def resampling_weights(length: int, wanted: int, positions: NDArray[np.integer]) -> csr_array:
    """Return the weights that make some entries of a resampled line out of the line.

    Bilinear; with anti-aliasing where the line gets shorter. They are those of torch's
    ``interpolate`` with ``antialias=True``, so parts agree with a whole that it resized.

    Parameters
    ----------
    length
        Entries of the line.
    wanted
        Entries of the resampled line.
    positions
        Which of these, 0 … `wanted` - 1, in any order.

    Returns
    -------
    csr_array
        ``(len(positions), length)`` float32; each row sums to 1.
    """
    scale = length / wanted
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


def reflected(start: int, stop: int, length: int) -> NDArray[np.integer]:
    """Return positions `start` … `stop` - 1 of a line that is mirrored at its end, and again.

    As the network pads its input: the last entry is not repeated.
    """
    period = max(2 * (length - 1), 1)
    position = np.arange(start, stop) % period
    return np.minimum(position, period - position) if length > 1 else position * 0


def source_range(weights: csr_array) -> tuple[int, int]:
    """Return the half-open range of entries of the line that the weights need."""
    return int(weights.indices.min()), int(weights.indices.max()) + 1


def resample(
    planes: NDArray[np.float32], rows: csr_array | None, columns: csr_array | None
) -> NDArray[np.float32]:
    """Return ``(C, h, w)`` from ``(C, H, W)``, along the rows, the columns or both."""
    result: Any = planes
    if rows is not None:
        result = [rows @ plane for plane in result]
    if columns is not None:
        result = [(columns @ plane.T).T for plane in result]
    return np.stack(result)
