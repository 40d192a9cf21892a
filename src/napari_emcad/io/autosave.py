"""Autosave of annotations and model of a session, for recovery after a crash.

Every session has its own folder, which it locks while it runs. A folder that is neither locked nor
marked as closed holds work to be offered: that of a crash, or, if it is marked as ended, work that
was in no other file when its window was closed.
"""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.annotation_file import (
    SavedAnnotation,
    annotation_bytes,
    read_annotation,
)
from napari_emcad.io.atomic_write import write_bytes
from napari_emcad.io.checkpoints.files import read_checkpoint, write_checkpoint
from napari_emcad.io.checkpoints.sniff import CheckpointError
from napari_emcad.io.folder_lock import folder_lock, is_locked

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.imaging.slices import Index
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint

_CLOSED, _ENDED = "closed", "ended"
MODEL, _ANNOTATION, _STEPS_LEFT = "model.safetensors", "paint-{}.npz", "steps-left"

DAYS_KEPT = 14
"""Days after which a folder whose work was restored or dismissed is removed."""


@dataclass(frozen=True, slots=True, eq=False)
class Recovery:
    """An autosave folder with work that is in no other file.

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
    ended
        Whether the window was closed; False after a crash.
    dismissed
        Whether it was restored or dismissed, so that it is not offered again.
    steps_left
        Steps of a training of the model that closing has interrupted; 0 if there is none.
    """

    folder: Path
    modified: datetime
    annotations: int
    model: bool
    ended: bool = False
    dismissed: bool = False
    steps_left: int = 0


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
        self._ended, self._discarded = False, False

    @property
    def folder(self) -> Path | None:
        """Path of the folder; None before the first save."""
        return self._folder

    def save_annotation(
        self,
        number: int,
        labels: Any,
        metadata: dict[str, Any],
        copied: Mapping[Index, NDArray[Any]] | None = None,
        thumbnail: NDArray[np.uint8] | None = None,
    ) -> None:
        """Save an annotation, in place of the previous one with this number.

        An empty annotation is not saved, and the previous one is removed.

        Parameters
        ----------
        number
            Number of the annotation in this session.
        labels
            Pixels of the layer; only those that are not 0 are written, so that a large layer with
            few strokes stays small.
        metadata
            Everything else that is needed, as plain values for JSON.
        copied, thumbnail
            See `SavedAnnotation`.

        Raises
        ------
        OSError
            If writing fails.
        """
        if not np.any(labels):
            self.remove_annotation(number)
            return
        content = annotation_bytes(SavedAnnotation(labels, metadata, copied or {}, thumbnail))
        write_bytes(self._create() / _ANNOTATION.format(number), content)

    def save_model(self, checkpoint: Checkpoint) -> None:
        """Save a model, in place of the previous one.

        Raises
        ------
        OSError, CheckpointError
            If writing fails.
        """
        self._remove(_STEPS_LEFT)
        write_checkpoint(checkpoint, self._create() / MODEL)

    def remove_model(self) -> None:
        """Remove the saved model, because it is in another file."""
        self._remove(MODEL)
        self._remove(_STEPS_LEFT)

    def remove_annotation(self, number: int) -> None:
        """Remove a saved annotation, because it is in another file."""
        self._remove(_ANNOTATION.format(number))

    def discard(self) -> None:
        """Remove the folder; a model that arrives later is not saved."""
        self._ended = self._discarded = True
        self._lock.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def end(self) -> None:
        """Mark the session as ended, and unlock its folder; what was saved there is offered again.

        A folder without work is marked as closed.
        """
        self._ended = True
        if self._folder is not None:
            with suppress(OSError):
                has_work = bool(annotation_files(self._folder)) or (self._folder / MODEL).exists()
                (self._folder / (_ENDED if has_work else _CLOSED)).touch()
        self._lock.close()

    def save_last_model(self, checkpoint: Checkpoint, steps_left: int = 0) -> None:
        """Save a model that arrives when the session may have ended already.

        Parameters
        ----------
        checkpoint
            The model.
        steps_left
            See `Recovery`.

        Raises
        ------
        OSError, CheckpointError
            If writing fails.
        """
        if self._discarded:
            return
        self.save_model(checkpoint)
        if steps_left:
            write_bytes(self._create() / _STEPS_LEFT, str(steps_left).encode())
        if self._ended:
            self._remove(_CLOSED)
            self.end()

    def _remove(self, name: str) -> None:
        if self._folder is not None:
            with suppress(OSError):
                (self._folder / name).unlink(missing_ok=True)

    def _create(self) -> Path:
        """Return the folder, created and locked by the first call."""
        if self._folder is None:
            self._root.mkdir(parents=True, exist_ok=True)
            folder = _new_folder(self._root)
            self._lock.enter_context(folder_lock(folder))
            self._folder = folder
        return self._folder


def find_recoveries(root: Path, dismissed: bool = False) -> list[Recovery]:
    """Return work that is in no other file, the latest first; remove old closed folders.

    Parameters
    ----------
    root
        Folder of the autosave folders of all sessions; it may be missing.
    dismissed
        Whether to return work as well that was restored or dismissed, as long as it is kept.
    """
    recoveries: list[Recovery] = []
    for folder in sorted(root.iterdir() if root.is_dir() else [], reverse=True):
        with suppress(OSError):  # a folder that cannot be read hides no other
            if folder.is_dir() and not is_locked(folder):
                recoveries += _work_in(folder)
    return [one for one in recoveries if dismissed or not one.dismissed]


def _work_in(folder: Path) -> list[Recovery]:
    """Return the work in an unlocked folder, if there is any; an old closed folder is removed."""
    modified = max((path.stat().st_mtime for path in folder.iterdir()), default=0.0)
    dismissed = (folder / _CLOSED).exists()
    if dismissed and time.time() - modified > DAYS_KEPT * 86400:
        shutil.rmtree(folder, ignore_errors=True)
        return []
    annotations, model = len(annotation_files(folder)), (folder / MODEL).exists()
    ended = (folder / _ENDED).exists()
    when = datetime.fromtimestamp(max(_times_of_work(folder), default=modified))
    left = _steps_left(folder) if model else 0
    found = Recovery(folder, when, annotations, model, ended, dismissed, left)
    return [found] if annotations or model else []


def read_recovery(
    recovery: Recovery,
) -> tuple[list[SavedAnnotation], Checkpoint | None, list[str]]:
    """Return the annotations, the model, and a message for every file that cannot be read.

    No code is executed and nothing is removed.
    """
    annotations, problems, model = [], [], None
    for path in annotation_files(recovery.folder):
        try:
            annotations.append(read_annotation(path))
        except (OSError, ValueError, KeyError) as error:
            problems.append(f"{path.name}: {error}")
    if recovery.model:
        try:
            model = read_checkpoint(recovery.folder / MODEL)
        except (OSError, CheckpointError) as error:
            problems.append(f"{MODEL}: {error}")
    return annotations, model, problems


def dismiss(recovery: Recovery) -> None:
    """Offer a recovery no more; its folder stays for two weeks."""
    with suppress(OSError):
        (recovery.folder / _CLOSED).touch()


def _steps_left(folder: Path) -> int:
    with suppress(OSError, ValueError):
        return int((folder / _STEPS_LEFT).read_text(encoding="utf-8"))
    return 0


def _times_of_work(folder: Path) -> list[float]:
    """Return the times of the last change of annotations and model, in seconds."""
    files = [*annotation_files(folder), *folder.glob(MODEL)]
    return [path.stat().st_mtime for path in files]


def _new_folder(root: Path) -> Path:
    stem = f"{datetime.now():%Y-%m-%d %H.%M.%S}"
    for number in range(1, 1000):
        folder = root / (stem if number == 1 else f"{stem} {number}")
        with suppress(FileExistsError):
            folder.mkdir()
            return folder
    raise OSError(f"No new autosave folder can be created in {root}.")


def annotation_files(folder: Path) -> list[Path]:
    """Return the files of the annotations in an autosave folder."""
    return sorted(folder.glob(_ANNOTATION.format("*")))
