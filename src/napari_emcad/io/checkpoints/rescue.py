"""Writing a checkpoint that exists nowhere else: to another folder if its own cannot be written."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from napari_emcad.io.checkpoints.files import write_checkpoint
from napari_emcad.io.checkpoints.sniff import CheckpointError

if TYPE_CHECKING:
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint


def write_or_rescue(checkpoint: Checkpoint, path: Path) -> tuple[Path, str]:
    """Write a checkpoint to a path, else under a new name to a folder that can be written.

    The present folder, the home folder and the folder for temporary files are tried.

    Returns
    -------
    tuple
        Path of the file, and the reason why it is not `path`, or "".

    Raises
    ------
    CheckpointError
        If it cannot be written anywhere, with the reason for `path`.
    """
    try:
        write_checkpoint(checkpoint, path)
    except CheckpointError as error:
        for folder in (Path.cwd, Path.home, lambda: Path(tempfile.gettempdir())):
            with suppress(CheckpointError, OSError, RuntimeError):  # there may be no such folder
                other = _new_name(folder(), path)
                write_checkpoint(checkpoint, other)
                return other, str(error)
        raise
    return path, ""


def _new_name(folder: Path, path: Path) -> Path:
    """Return a path in a folder that does not exist yet."""
    names = (f"{path.stem}{f' {n}' * (n > 1)}{path.suffix}" for n in range(1, 1000))
    return next(folder / name for name in names if not (folder / name).exists())
