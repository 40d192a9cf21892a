"""Labels of objects that overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def smallest_on_top(
    objects: Sequence[tuple[int, NDArray[np.bool_]]], shape: tuple[int, ...]
) -> tuple[NDArray[np.int16], str]:
    """Return the class of each pixel, of the smallest object there, and a remark on hidden pixels.

    Parameters
    ----------
    objects
        Class and pixels of each object.
    shape
        Height and width of the image.
    """
    labels = np.zeros(shape, np.int16)
    hidden = 0
    for k, mask in sorted(objects, key=lambda pair: -int(pair[1].sum())):
        hidden += int(((labels > 0) & (labels != k) & mask).sum())
        labels[mask] = k
    note = f"objects of several classes share {hidden:,} pixels; the smaller object is on top."
    return labels, note if hidden else ""
