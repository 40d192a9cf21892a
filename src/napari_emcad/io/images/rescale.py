"""Stored numbers to measured ones: slope and intercept, in a type that is wide enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_INTEGERS = (np.int16, np.uint16, np.int32, np.uint32, np.int64)


def rescale(stored: NDArray[Any], slope: float, intercept: float) -> NDArray[Any]:
    """Return ``stored * slope + intercept`` without rounding or overflow.

    Whole numbers stay integers, of 16 bits or as many as the largest of them needs. Others are
    float32 if `stored` has 16 bits at most, else float64.
    """
    if slope == 1 and intercept == 0:
        return stored
    is_integer = stored.dtype.kind in "biu" and stored.dtype.itemsize <= 4
    if is_integer and float(slope).is_integer() and float(intercept).is_integer():
        limits = (int(stored.min()), int(stored.max())) if stored.size else (0, 0)
        type_ = _integer_type(limits, int(slope), int(intercept))
        if type_ is not None:
            whole: NDArray[Any] = stored.astype(type_)
            whole *= type_(slope)
            whole += type_(intercept)
            return whole
    values: NDArray[Any] = np.multiply(stored, slope, dtype=np.float64)
    values += intercept
    return values.astype(np.float32) if stored.dtype.itemsize <= 2 else values


def _integer_type(limits: tuple[int, int], slope: int, intercept: int) -> Any:
    """Return the smallest type for all results, `slope` and `intercept`; None if there is none."""
    numbers = [int(value) * slope for value in limits]
    numbers += [number + intercept for number in numbers] + [slope, intercept, *limits]
    for type_ in _INTEGERS:
        if np.iinfo(type_).min <= min(numbers) and max(numbers) <= np.iinfo(type_).max:
            return type_
    return None
