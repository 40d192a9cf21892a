"""Values of label files and of masks that were made elsewhere: classes, objects, or ignored.

Values below 0 are ignored everywhere. So is 255 beside other values, which many data sets call
void, unless it numbers a class or an object.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_emcad.annotation.label_rules import BACKGROUND, UNLABELED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from numpy.typing import NDArray

_FEWEST_INSTANCES, _PROBABLY_INSTANCES, _CONNECTED = 3, 5, 0.9
"""Highest value from which labels may be, and probably are, instance labels; the share of values
that must be one connected component."""

COVERS_MOST = (
    "The objects cover more than half of every image, as those of inverted masks and of fields of "
    "view do; check that these are the labels that are meant."
)

_MOST = 0.5
"""Share of an image that few objects cover."""

_MOST_GRAY_LEVELS = 20
"""Largest number of values of a mask that is made to be viewed."""


def mask_target(
    labels: NDArray[np.generic],
    classes: int | None = None,
    foreground: bool = False,
    void: bool = False,
) -> NDArray[np.int64]:
    """Return the class of each pixel of a label file, `UNLABELED` where it is ignored.

    Parameters
    ----------
    labels
        Integers (or bool) of any shape: 0 is the background, k is class k; a mask of 0 and 255 has
        the class 1.
    classes
        Number of classes without the background; None if it is not known.
    foreground
        Whether all values above 0 are class 1.
    void
        Whether 255 is void in another mask of the data set, and therefore in this one, even if it
        has no other values.

    Returns
    -------
    NDArray
        Of the same shape; values above `classes` are kept.
    """
    values = np.unique(labels).tolist()
    target: NDArray[np.int64] = labels.astype(np.int64)
    present = {value for value in values if value > 0}
    if has_void(present, 1 if foreground else classes) or (void and BACKGROUND in present):
        target[target == BACKGROUND] = UNLABELED
    elif present == {BACKGROUND} and (classes is None or classes < BACKGROUND):
        target[target == BACKGROUND] = 1
    target[target < 0] = UNLABELED
    if foreground:
        target[target > 0] = 1
    return target


def has_void(values: Collection[int], classes: int | None = None) -> bool:
    """Return whether 255 among the values above 0 of a mask marks pixels to be ignored.

    It does not if it is the only value, a class, the last of consecutive numbers of objects, or the
    white of evenly spaced gray levels.
    """
    others = set(values) - {BACKGROUND}
    if BACKGROUND not in values or not others or max(values) > BACKGROUND:
        return False
    is_class = classes is not None and classes >= BACKGROUND
    return not is_class and BACKGROUND - 1 not in others and not are_gray_levels(values)


def are_gray_levels(values: Collection[int]) -> bool:
    """Return whether values divide 0 … 255 evenly, as in masks that are made to be viewed."""
    step = BACKGROUND / len(values)
    even = (abs(value - k * step) <= 1 for k, value in enumerate(sorted(values), start=1))
    return len(values) <= _MOST_GRAY_LEVELS and all(even)


@dataclass(frozen=True, slots=True)
class MaskValues:
    """Values of a mask and how many of them are connected.

    Attributes
    ----------
    values
        Values above 0 in ascending order.
    connected
        Number of values whose pixels are one connected component.
    """

    values: tuple[int, ...]
    connected: int


def mask_values(labels: NDArray[np.generic]) -> MaskValues:
    """Return the values of a mask; pixels that share a side are connected."""
    values, positions = np.unique(labels, return_inverse=True)
    numbered = positions.reshape(labels.shape) + 1
    boxes = ndimage.find_objects(numbered)
    positive = [number for number, value in enumerate(values.tolist(), start=1) if value > 0]
    components = [int(ndimage.label(numbered[boxes[n - 1]] == n)[1]) for n in positive]
    return MaskValues(tuple(int(values[n - 1]) for n in positive), components.count(1))


def cover_most(shares: Sequence[float]) -> bool:
    """Return whether objects cover more than half of every image, of two or more.

    Those of inverted masks and of fields of view do.

    Parameters
    ----------
    shares
        Share of the pixels of each image that are objects.
    """
    return len(shares) > 1 and all(share > _MOST for share in shares)


def look_like_instances(masks: Iterable[MaskValues]) -> bool:
    """Return whether the values of masks seem to number objects rather than classes.

    They do if nearly every value is one connected component and the highest value differs between
    masks.
    """
    filled = [mask for mask in masks if mask.values]
    count = sum(len(mask.values) for mask in filled)
    highest = {mask.values[-1] for mask in filled}
    if not filled or max(highest) < _FEWEST_INSTANCES or count < 2 * len(filled):
        return False
    differ = len(highest) > 1 or max(highest) >= _PROBABLY_INSTANCES
    return differ and sum(mask.connected for mask in filled) >= _CONNECTED * count
