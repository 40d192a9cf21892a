"""A lock on a folder, so that only one process at a time writes to it."""

from __future__ import annotations

import errno
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOCK_FILE = ".in-use"

_NOT_SUPPORTED = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}
"""Errors of file systems that have no locks, such as some network drives."""


class FolderLockedError(OSError):
    """The folder is locked by another process, or elsewhere in this one."""


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Lock a folder within a ``with`` block, without waiting.

    The operating system releases the lock of a process that crashes or is killed. On a file system
    without locks the block runs unlocked.

    Raises
    ------
    FolderLockedError
        If the folder is locked already.
    OSError
        If the folder cannot be written to.
    """
    path = folder / _LOCK_FILE
    lock = FileLock(path, thread_local=False)  # autosave locks and releases in different threads
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise FolderLockedError(errno.EAGAIN, "in use", str(folder)) from None
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise
    try:
        yield
    finally:
        # Removed before the release, or it could be the file that the next process has locked.
        # filelock itself removes it on Windows, where an open file cannot be removed.
        with suppress(OSError):
            path.unlink()
        lock.release()


def is_locked(folder: Path) -> bool:
    """Return whether a folder is locked; one that cannot be written to is not."""
    try:
        with folder_lock(folder):
            return False
    except FolderLockedError:
        return True
    except OSError:
        return False
