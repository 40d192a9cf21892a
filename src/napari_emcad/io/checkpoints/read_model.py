"""Read a model file of either kind: a checkpoint of a network, or an instant model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_emcad.io.checkpoints.files import read_checkpoint
from napari_emcad.io.checkpoints.instant_model import InstantModel, is_instant_file, read_instant
from napari_emcad.io.checkpoints.sniff import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_emcad.io.checkpoints.checkpoint import Checkpoint


def read_model(path: Path, **changes: Any) -> Checkpoint | InstantModel:
    """Return the model in a file.

    Parameters
    ----------
    path
        The file.
    **changes
        Preprocessing, classes and the like of a checkpoint, see `read_checkpoint`.

    Raises
    ------
    CheckpointError
        If it is neither a checkpoint nor an instant model that this version can read, or a change
        is invalid; instant models take none.
    """
    if not is_instant_file(path):
        return read_checkpoint(path, **changes)
    if changes:
        raise CheckpointError(
            f"{path} is an instant model; {', '.join(changes)} can be set for checkpoints only."
        )
    return read_instant(path)
