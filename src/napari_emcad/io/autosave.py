"""Autosave of annotations and model of a session, for recovery after a crash.

Every session has its own folder, which it locks while it runs. A folder that is neither locked nor
marked as closed was left behind by a crash.
"""

from __future__ import annotations

import io
import json
import shutil
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.atomic_write import write_bytes
from napari_emcad.io.checkpoints.files import read_checkpoint, write_checkpoint
from napari_emcad.io.checkpoints.sniff import CheckpointError
from napari_emcad.io.folder_lock import FolderLockedError, folder_lock

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.io.checkpoints.checkpoint import Checkpoint

_CLOSED, _MODEL, _ANNOTATION = "closed", "model.safetensors", "paint-{}.npz"

_DAYS_KEPT = 14
"""Days after which the folder of a closed session is removed."""


@dataclass(frozen=True, slots=True, eq=False)
class SavedAnnotation:
    """An annotation layer.

    Attributes
    ----------
    labels
        Pixels of the layer.
    metadata
        Everything else that is needed to show the layer again, as plain values for JSON.
    """

    labels: NDArray[Any]
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Recovery:
    """An autosave folder that a crash left behind.

    Attributes
    ----------
    folder
        Path of the folder.
    modified
        Time of the last change.
    annotations
        Number of saved annotations.
    model
        Whether a model was saved.
    """

    folder: Path
    modified: datetime
    annotations: int
    model: bool


class AutosaveFolder:
    """The autosave folder of one session, created with the first save.

    Parameters
    ----------
    root
        Folder of the autosave folders of all sessions.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder: Path | None = None
        self._lock = ExitStack()

    @property
    def folder(self) -> Path | None:
        """Path of the folder; None before the first save."""
        return self._folder

    def save_annotation(self, number: int, labels: Any, metadata: dict[str, Any]) -> None:
        """Save an annotation, in place of the previous one with this number.

        Parameters
        ----------
        number
            Number of the annotation in this session.
        labels
            Pixels of the layer; only those that are not 0 are written, so that a large layer with
            few strokes stays small.
        metadata
            Everything else that is needed, as plain values for JSON.

        Raises
        ------
        OSError
            If writing fails.
        """
        array = np.asarray(labels)
        flat = array.reshape(-1)
        places = np.flatnonzero(flat)
        content = io.BytesIO()
        np.savez_compressed(
            content,
            places=places,
            values=flat[places],
            shape=np.array(array.shape),
            about=np.array(json.dumps(metadata)),
        )
        write_bytes(self._create() / _ANNOTATION.format(number), content.getvalue())

    def save_model(self, checkpoint: Checkpoint) -> None:
        """Save a model, in place of the previous one.

        Raises
        ------
        OSError, CheckpointError
            If writing fails.
        """
        write_checkpoint(checkpoint, self._create() / _MODEL)

    def close(self) -> None:
        """Mark the session as closed regularly, and unlock its folder."""
        if self._folder is not None:
            with suppress(OSError):
                (self._folder / _CLOSED).touch()
        self._lock.close()

    def _create(self) -> Path:
        """Return the folder, created and locked by the first call."""
        if self._folder is None:
            self._root.mkdir(parents=True, exist_ok=True)
            folder = _new_folder(self._root)
            self._lock.enter_context(folder_lock(folder))
            self._folder = folder
        return self._folder


def find_recoveries(root: Path) -> list[Recovery]:
    """Return what crashes left behind, the latest first; remove old folders of closed sessions.

    Parameters
    ----------
    root
        Folder of the autosave folders of all sessions; it may be missing.
    """
    recoveries = []
    for folder in sorted(root.iterdir() if root.is_dir() else [], reverse=True):
        if not folder.is_dir() or _is_locked(folder):
            continue
        modified = max((path.stat().st_mtime for path in folder.iterdir()), default=0.0)
        if (folder / _CLOSED).exists():
            if time.time() - modified > _DAYS_KEPT * 86400:
                shutil.rmtree(folder, ignore_errors=True)
            continue
        annotations, model = len(_annotation_files(folder)), (folder / _MODEL).exists()
        if annotations or model:
            time_modified = datetime.fromtimestamp(modified)
            recoveries.append(Recovery(folder, time_modified, annotations, model))
    return recoveries


def read_recovery(
    recovery: Recovery,
) -> tuple[list[SavedAnnotation], Checkpoint | None, list[str]]:
    """Return the annotations, the model, and a message for every file that cannot be read.

    No code is executed and nothing is removed.
    """
    annotations, problems, model = [], [], None
    for path in _annotation_files(recovery.folder):
        try:
            annotations.append(_read_annotation(path))
        except (OSError, ValueError, KeyError) as error:
            problems.append(f"{path.name}: {error}")
    if recovery.model:
        try:
            model = read_checkpoint(recovery.folder / _MODEL)
        except (OSError, CheckpointError) as error:
            problems.append(f"{_MODEL}: {error}")
    return annotations, model, problems


def dismiss(recovery: Recovery) -> None:
    """Offer a recovery no more; its folder stays for two weeks."""
    with suppress(OSError):
        (recovery.folder / _CLOSED).touch()


def _new_folder(root: Path) -> Path:
    stem = f"{datetime.now():%Y-%m-%d %H.%M.%S}"
    for number in range(1, 1000):
        folder = root / (stem if number == 1 else f"{stem} {number}")
        with suppress(FileExistsError):
            folder.mkdir()
            return folder
    raise OSError(f"No new autosave folder can be created in {root}.")


def _read_annotation(path: Path) -> SavedAnnotation:
    with np.load(path, allow_pickle=False) as arrays:
        shape = tuple(int(size) for size in arrays["shape"])
        labels = np.zeros(shape, arrays["values"].dtype)
        labels.reshape(-1)[arrays["places"]] = arrays["values"]
        metadata = json.loads(str(arrays["about"]))
    return SavedAnnotation(labels, metadata)


def _annotation_files(folder: Path) -> list[Path]:
    return sorted(folder.glob(_ANNOTATION.format("*")))


def _is_locked(folder: Path) -> bool:
    try:
        with folder_lock(folder):
            return False
    except FolderLockedError:
        return True
    except OSError:
        return False
