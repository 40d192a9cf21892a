"""Check a label array and the letters of its axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_emcad.imaging.axes import check_axes

if TYPE_CHECKING:
    from numpy.typing import NDArray


def label_axes(labels: NDArray[Any], axes: str | None) -> str:
    """Return the letters of the axes of a label array.

    Parameters
    ----------
    labels
        Label array; 0 is the background.
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
    if labels.dtype.kind == "i" and labels.size and labels.min() < 0:
        raise ValueError(f"Labels go from {labels.min()}; they must be whole numbers of 0 or more.")
    return check_axes("TZYX"[-labels.ndim :] if axes is None else axes, labels.shape)
