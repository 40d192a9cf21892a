"""Keep freed memory for the next training step on a CPU.

All steps allocate the same hundreds of megabytes. glibc returns large blocks to the system as soon
as they are freed, so a step pays for new pages again: a fifth of its time. Without glibc nothing
is done.
"""

from __future__ import annotations

import ctypes
import threading
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Numbers of mallopt's parameters, from malloc.h."""

_LARGE = 2**31 - 1
_DEFAULT = 2**25
"""Bytes; the largest threshold that glibc's own adaptation reaches."""

_users, _lock = 0, threading.Lock()
"""Number of trainings that keep freed memory now."""


@contextmanager
def retain_freed_memory() -> Iterator[None]:
    """Keep freed memory in the process, and return it to the system at the end."""
    libc = _glibc()
    if libc is None:
        yield
        return
    _count_users(libc, 1)
    try:
        yield
    finally:
        _count_users(libc, -1)


def _count_users(libc: Any, change: int) -> None:
    """Keep memory while a training runs, in any thread; the last one returns it."""
    global _users
    with _lock:
        before, _users = _users, _users + change
        if before == 0:
            _set_thresholds(libc, _LARGE)
        if _users == 0:
            _set_thresholds(libc, _DEFAULT)
            libc.malloc_trim(0)


def _set_thresholds(libc: Any, size: int) -> None:
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
