"""Freed memory is kept for the next step while a network is trained on a CPU.

Every step asks for the same hundreds of megabytes. glibc gives large pieces back to the system as
soon as they are freed, so each step pays for fresh pages again: a fifth of its time. Elsewhere than
on glibc nothing is done.
"""

from __future__ import annotations

import ctypes
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Numbers of mallopt's parameters, from malloc.h."""

_LARGE = 2**31 - 1
_USUAL = 2**25
"""Bytes; what glibc's own adaptation ends with."""


@contextmanager
def retain_freed_memory() -> Iterator[None]:
    """Keep what is freed, and give it back at the end."""
    libc = _glibc()
    if libc is None:
        yield
        return
    _set(libc, _LARGE)
    try:
        yield
    finally:
        _set(libc, _USUAL)
        libc.malloc_trim(0)


def _set(libc: Any, size: int) -> None:
    for parameter in (_MMAP_THRESHOLD, _TRIM_THRESHOLD):
        libc.mallopt(parameter, size)


@cache
def _glibc() -> Any:
    """Return the C library if it is glibc, else None."""
    try:
        libc = ctypes.CDLL(None)
        return libc if libc.gnu_get_libc_version and libc.mallopt and libc.malloc_trim else None
    except (OSError, AttributeError, TypeError):
        return None
