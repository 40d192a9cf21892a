"""Axes of an image as letters: Y and X span a slice, C are channels, others stack slices."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_FEW = 10
"""Most entries of a last axis that may be channels, or positions in time or depth."""

_RATIO = 4
"""Rows and columns are at least this many times as long as such an axis behind them."""


class AxesError(ValueError):
    """The axes or channels of an image are ambiguous or contradictory."""


def guess_axes(shape: Sequence[int]) -> str:
    """Return the axes of an image of this shape where only one reading is sensible.

    A last axis of 3 or 4 is color, the two before it span the slices; without one, the last two
    do. Leading axes of 5 or more stack slices.

    Raises
    ------
    AxesError
        If a leading axis has 2 to 4 entries and could be channels, if the last one has and the
        image could be channels last, if the last ones have 10 at most and are much smaller than
        the two before them, which could span the slices, or if those two are equal and the last is
        another, as in volumes whose slices lie along the last axis.
    ValueError
        If there are too few axes.
    """
    sizes = tuple(shape)
    check_rank(sizes)
    color = len(sizes) >= 3 and sizes[-1] in (3, 4) and min(sizes[-3:-1]) > 4
    plane = 3 if color else 2
    stacked = len(sizes) - plane
    thin = stacked and sum(size <= 4 for size in sizes[-plane:][:2]) == 1
    small_last = not color and small_last_axes(sizes) > 0
    square_before = not color and stacked > 0 and sizes[-3] == sizes[-2] != sizes[-1]
    ambiguous = stacked > 2 or thin or small_last or square_before
    if ambiguous or any(2 <= size <= 4 for size in sizes[:stacked]):
        raise AxesError(
            f"The axes of shape {sizes} are ambiguous: name all axes, as in CYX for channels, "
            f"ZYX for slices or YXZ for slices along the last axis."
        )
    return "TZ"[2 - stacked :] + ("YXC" if color else "YX")


def check_rank(sizes: tuple[int, ...]) -> None:
    """Refuse shapes with fewer than two axes."""
    if len(sizes) < 2:
        raise ValueError(f"An image has at least two axes; this one has shape {sizes}.")


def small_last_axes(sizes: Sequence[int]) -> int:
    """Return how many of the last axes may be channels, times or depths behind rows and columns.

    They do if they are so small that the two axes before them could span the slices; 0 otherwise.
    """
    small = list(takewhile(lambda size: size <= _FEW, reversed(sizes)))
    plane = sizes[: len(sizes) - len(small)][-2:]
    fits = bool(small) and len(plane) == 2 and min(plane) >= _RATIO * max(small)
    return len(small) if fits else 0


def check_axes(axes: str | Sequence[str], shape: tuple[int, ...]) -> str:
    """Return the axes of an image as upper-case letters.

    Raises
    ------
    TypeError
        If they are not letters.
    AxesError
        If they do not fit the shape, or lack Y or X.
    """
    if not isinstance(axes, (str, tuple, list)) or not all(isinstance(a, str) for a in axes):
        raise TypeError(f"axes is {axes!r}; it must be one letter per axis, as in ZYX.")
    letters = "".join(axes).upper()
    if not letters.isalpha() or len(set(letters)) != len(letters) or not set("YX") <= set(letters):
        raise AxesError(
            f"axes={axes!r} must be one letter per axis without repetition, Y and X among them."
        )
    if len(letters) != len(shape):
        raise AxesError(f"axes={axes!r} names {len(letters)} axes; the image has shape {shape}.")
    return letters
