"""Convert values of settings to Python's own types, or refuse them with a message."""

from __future__ import annotations

from math import isfinite
from numbers import Real
from operator import index
from typing import Any

import numpy as np


def as_int(name: str, value: Any) -> int:
    """Return an integer of any type as Python's.

    Parameters
    ----------
    name
        Beginning of the message, such as ``"The tile"``.
    value
        An integer of Python, NumPy, …

    Raises
    ------
    ValueError
        If it is not an integer; ``True`` is not.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        return index(value)
    except TypeError:
        raise ValueError(f"{name} is {value!r}; it must be a whole number.") from None


def as_float(name: str, value: Any) -> float:
    """Return a finite number of any type as Python's; see `as_int`.

    Raises
    ------
    ValueError
        If it is not a number, NaN or infinite; ``True`` is not a number.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not isfinite(value):
        raise ValueError(f"{name} is {value!r}; it must be a finite number.")
    return float(value)


def as_bool(name: str, value: Any) -> bool:
    """Return a bool of Python or NumPy as Python's; see `as_int`.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if not isinstance(value, (bool, np.bool)):
        raise ValueError(f"{name} is {value!r}; it must be True or False.")
    return bool(value)


def as_pair(name: str, value: Any) -> tuple[int, int]:
    """Return two integers; see `as_int`.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    numbers = as_ints(name, value)
    if len(numbers) != 2:
        raise ValueError(f"{name} is {value!r}; it must be two whole numbers: first, last + 1.")
    return numbers[0], numbers[1]


def as_ints(name: str, value: Any) -> tuple[int, ...]:
    """Return several integers, or a single one, as a tuple; see `as_int`.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    if isinstance(value, str):
        raise ValueError(f"{name} is {value!r}; it must be whole numbers.")
    try:
        listed = list(value)
    except TypeError:
        listed = [value]
    return tuple(as_int(name, number) for number in listed)
