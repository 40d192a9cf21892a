"""Split one object into several, along a line or around points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from skimage.draw import line
from skimage.measure import label
from skimage.segmentation import watershed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Point = tuple[float, float]


def split_along_line(mask: NDArray[np.bool_], start: Point, end: Point) -> NDArray[np.int32]:
    """Return the parts into which a line cuts an object.

    Parameters
    ----------
    mask
        Pixels of the object, ``(H, W)``.
    start, end
        Ends of the line as (row, column); they may lie outside of the array.

    Returns
    -------
    NDArray
        0 outside of the object, 1 in its largest part, 2 and more in the others. Pixels under the
        line belong to the part that is nearest.

    Raises
    ------
    ValueError
        If the line does not cut the object.
    """
    rows, columns = line(*(round(float(at)) for at in (*start, *end)))
    height, width = mask.shape
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    cut = np.zeros(mask.shape, bool)
    cut[rows[inside], columns[inside]] = True
    cut = ndimage.binary_dilation(cut, np.ones((2, 2)))  # so that no diagonal step connects
    before = int(label(mask, connectivity=1).max())
    parts = label(mask & ~cut, connectivity=1)
    if int(parts.max()) <= before:
        raise ValueError("The line does not cut the object; draw it from one side to the other.")
    return _largest_first(watershed(cut.astype(np.uint8), parts, mask=mask))


def split_at_points(mask: NDArray[np.bool_], points: Sequence[Point]) -> NDArray[np.int32]:
    """Return the parts of an object around points, cut where it is narrow.

    Parameters
    ----------
    mask
        Pixels of the object, ``(H, W)``.
    points
        (row, column) inside of the object, one per part.

    Returns
    -------
    NDArray
        0 outside of the object, 1 in its largest part, 2 and more in the others.

    Raises
    ------
    ValueError
        If a point lies outside of the object, or two are on one pixel.
    """
    pixels = [tuple(round(float(at)) for at in point) for point in points]
    height, width = mask.shape
    if len(set(pixels)) < len(pixels):
        raise ValueError("Click two different places of the object.")
    seeds = np.zeros(mask.shape, np.int32)
    for number, (y, x) in enumerate(pixels, start=1):
        if not (0 <= y < height and 0 <= x < width and mask[y, x]):
            raise ValueError("Click inside of the object, once for every part.")
        seeds[y, x] = number
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    parts = watershed(-depth, seeds, mask=mask)
    parts[mask & (parts == 0)] = 1  # areas that no point is connected with
    return _largest_first(parts)


def _largest_first(parts: NDArray[Any]) -> NDArray[np.int32]:
    """Return parts numbered by falling size."""
    sizes = np.bincount(parts.ravel())[1:]
    numbers = np.zeros(len(sizes) + 1, np.int32)
    numbers[1 + np.argsort(-sizes, kind="stable")] = np.arange(1, len(sizes) + 1)
    ordered: NDArray[np.int32] = numbers[parts]
    return ordered
