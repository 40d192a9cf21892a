"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

_UNFINISHED = ".napari-emcad-"
"""What names of files begin with until they are complete."""


def resolve_links(path: Path) -> Path:
    """Return where a path leads through its links; a loop of links leads to itself."""
    return Path(os.path.realpath(path))


def write_bytes(path: Path, content: bytes) -> None:
    """Write beside `path` and rename; what stood there stays until the new file is complete.

    Raises
    ------
    OSError
        If the folder cannot be written to, or the disk is full; nothing is left behind.
    """
    path = resolve_links(path)  # what a link points to is replaced, not the link
    handle, name = tempfile.mkstemp(prefix=_UNFINISHED, dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(_usual_mode(path))
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _usual_mode(path: Path) -> int:
    """Return the mode of the file that is replaced, or what a new file would get."""
    with suppress(OSError):
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
