"""Fill the slices between two slices of an object: shape-based interpolation.

The signed distance to the border is interpolated linearly, as Raya and Udupa proposed (IEEE
Transactions on Medical Imaging 9, 1990).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


def interpolate_masks(
    first: NDArray[np.bool_], last: NDArray[np.bool_], count: int
) -> Iterator[NDArray[np.bool_]]:
    """Yield the masks of `count` slices between two slices.

    Parameters
    ----------
    first, last
        Masks of the slices before and behind, of one shape, both with at least one pixel. Objects
        that do not overlap are moved onto each other, center on center, before they are
        interpolated, and back to the place between.
    count
        Number of slices between them.
    """
    shift = np.zeros(first.ndim)
    if not (first & last).any():
        shift = _center(last) - _center(first)
    start = _signed_distance(first)
    end = ndimage.shift(_signed_distance(last), -shift, order=1, mode="nearest")
    for n in range(1, count + 1):
        share = n / (count + 1)
        between = (1 - share) * start + share * end
        yield ndimage.shift(between, share * shift, order=1, mode="nearest") > 0


def gaps(occupied: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the slices before and behind every gap between occupied slices."""
    slices = np.flatnonzero(occupied).tolist()
    return [(one, other) for one, other in pairwise(slices) if other > one + 1]


def _center(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.array(ndimage.center_of_mass(mask))


def _signed_distance(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the distance to the border: positive inside, negative outside.

    The border lies half a pixel from the centers of the pixels on both of its sides.
    """
    inside = ndimage.distance_transform_edt(np.pad(mask, 1))[(slice(1, -1),) * mask.ndim]
    signed: NDArray[np.float64] = np.where(
        mask, inside - 0.5, 0.5 - ndimage.distance_transform_edt(~mask)
    )
    return signed
