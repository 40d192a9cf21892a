"""A folder that one process at a time writes to."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NAME = ".in-use"
_HELD = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK}
"""What a lock that another process holds ends with; others come of disks that have no locks."""


class FolderLockedError(OSError):
    """Another process holds the folder."""


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold a folder; the system lets go of it however the process ends.

    Raises
    ------
    ClaimedError
        If another process holds it.
    OSError
        If the folder cannot be written to.
    """
    path = folder / _NAME
    with path.open("ab") as file:
        _lock(file)
        if not _is(file, path):  # whoever held it has just removed it
            raise FolderLockedError(errno.EAGAIN, "in use", str(path))
        try:
            yield
        finally:
            with suppress(OSError):
                path.unlink()
    if sys.platform == "win32":  # what is open cannot be removed there
        with suppress(OSError):
            path.unlink()


def _lock(file: IO[bytes]) -> None:
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            raise FolderLockedError(error.errno, "in use", str(file.name)) from None


def _is(file: IO[bytes], path: Path) -> bool:
    try:
        return os.fstat(file.fileno()).st_ino == path.stat().st_ino
    except OSError:
        return False
