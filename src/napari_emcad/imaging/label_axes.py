"""Check a label array and the letters of its axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.imaging.axes import check_axes

if TYPE_CHECKING:
    from numpy.typing import NDArray


def label_axes(labels: Any, axes: str | None) -> str:
    """Return the letters of the axes of a label array.

    Parameters
    ----------
    labels
        Label array; 0 is the background. The values of one that is not numpy's are not read; see
        `check_labels`.
    axes
        A letter per axis; None for YX, ZYX or TZYX.

    Raises
    ------
    AxesError
        If the axes do not fit.
    ValueError
        If labels are not whole numbers of 0 or more.
    """
    if labels.dtype.kind not in "biu":
        raise ValueError(f"Labels are {labels.dtype}; they must be whole numbers.")
    if isinstance(labels, np.ndarray):
        check_labels(labels)
    return check_axes("TZYX"[-labels.ndim :] if axes is None else axes, labels.shape)


def check_labels(labels: NDArray[Any]) -> None:
    """Refuse labels below 0.

    Raises
    ------
    ValueError
        If there is one.
    """
    if labels.dtype.kind == "i" and labels.size and labels.min() < 0:
        raise ValueError(f"Labels go from {labels.min()}; they must be whole numbers of 0 or more.")
