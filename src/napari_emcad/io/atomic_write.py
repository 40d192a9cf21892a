"""Writing files atomically: they appear completely or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

_TEMPORARY_PREFIX = ".napari-emcad-"


def resolve_links(path: Path) -> Path:
    """Return a path without symbolic links; a loop of links is not resolved."""
    return Path(os.path.realpath(path))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a temporary file beside `path`, then rename it; an existing file stays until then.

    Raises
    ------
    OSError
        If the folder cannot be written to, or the disk is full; nothing is left behind.
    """
    with open_atomic(path) as file:
        file.write(content)


@contextmanager
def open_atomic(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path`, which takes its name if the ``with`` block succeeds.

    Raises
    ------
    OSError
        If the folder cannot be written to, or the disk is full; nothing is left behind.
    """
    path = resolve_links(path)  # a symbolic link stays, its target is replaced
    handle, name = tempfile.mkstemp(prefix=_TEMPORARY_PREFIX, dir=path.parent)
    temporary = Path(name)
    try:
        os.close(handle)
        with temporary.open("w+b") as file:  # unlike `os.fdopen`, a file whose name is no number
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(_mode(path))
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _mode(path: Path) -> int:
    """Return the mode of the file that is replaced, or the mode of new files."""
    with suppress(OSError):
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
