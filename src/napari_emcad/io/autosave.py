"""Paint and model of a sitting, kept for the case that the program ends before they are saved.

Each sitting has a folder of its own and holds it as long as it lives. A folder that nobody holds
and that was not closed was left behind by a crash.
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

_CLOSED, _MODEL, _PAINT = "closed", "model.safetensors", "paint-{}.npz"
_KEPT_DAYS = 14
"""For so long a closed sitting stays, should somebody look for it."""


@dataclass(frozen=True, slots=True, eq=False)
class SavedAnnotation:
    """An annotation layer.

    Attributes
    ----------
    labels
        Its pixels.
    metadata
        Everything else that is needed to show it again, as plain values for JSON.
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
    """The folder of one sitting; made with the first thing that is kept.

    Parameters
    ----------
    root
        Folder of all sittings.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder: Path | None = None
        self._held = ExitStack()

    @property
    def folder(self) -> Path | None:
        """Where things are kept; None if nothing was yet."""
        return self._folder

    def save_annotation(self, number: int, labels: Any, about: dict[str, Any]) -> None:
        """Keep an annotation in place of what was kept under this number.

        Parameters
        ----------
        number
            Of the annotation in this sitting.
        labels
            Its numbers; what is not 0 is written, so a large layer with few strokes is small.
        about
            What else is needed, as plain values.

        Raises
        ------
        OSError
            If the disk does not take it.
        """
        numbers = np.asarray(labels)
        flat = numbers.reshape(-1)
        places = np.flatnonzero(flat)
        content = io.BytesIO()
        np.savez_compressed(
            content,
            places=places,
            values=flat[places],
            shape=np.array(numbers.shape),
            about=np.array(json.dumps(about)),
        )
        write_bytes(self._made() / _PAINT.format(number), content.getvalue())

    def save_model(self, checkpoint: Checkpoint) -> None:
        """Keep a model in place of the one before.

        Raises
        ------
        OSError, CheckpointError
            If the disk does not take it.
        """
        write_checkpoint(checkpoint, self._made() / _MODEL)

    def close(self) -> None:
        """Let go of the folder; the sitting ended as it should."""
        if self._folder is not None:
            with suppress(OSError):
                (self._folder / _CLOSED).touch()
        self._held.close()

    def _made(self) -> Path:
        if self._folder is None:
            self._root.mkdir(parents=True, exist_ok=True)
            folder = _new_folder(self._root)
            self._held.enter_context(folder_lock(folder))
            self._folder = folder
        return self._folder


def _new_folder(root: Path) -> Path:
    stem = f"{datetime.now():%Y-%m-%d %H.%M.%S}"
    for number in range(1, 1000):
        folder = root / (stem if number == 1 else f"{stem} {number}")
        with suppress(FileExistsError):
            folder.mkdir()
            return folder
    raise OSError(f"{root} has no room for another sitting.")


def find_recoveries(root: Path) -> list[Recovery]:
    """Return what crashes left behind, the latest first; closed sittings of long ago are removed.

    Parameters
    ----------
    root
        Folder of all sittings; it need not be there.
    """
    found = []
    for folder in sorted(root.iterdir() if root.is_dir() else [], reverse=True):
        if not folder.is_dir() or _in_use(folder):
            continue
        changed = max((each.stat().st_mtime for each in folder.iterdir()), default=0.0)
        if (folder / _CLOSED).exists():
            if time.time() - changed > _KEPT_DAYS * 86400:
                shutil.rmtree(folder, ignore_errors=True)
            continue
        paints, model = len(_paints(folder)), (folder / _MODEL).exists()
        if paints or model:
            found.append(Recovery(folder, datetime.fromtimestamp(changed), paints, model))
    return found


def read_recovery(lost: Recovery) -> tuple[list[SavedAnnotation], Checkpoint | None, list[str]]:
    """Return what was left behind: annotations, the model, and what could not be read.

    Nothing is executed and nothing removed.
    """
    paints, troubles, model = [], [], None
    for path in _paints(lost.folder):
        try:
            paints.append(_read_paint(path))
        except (OSError, ValueError, KeyError) as error:
            troubles.append(f"{path.name}: {error}")
    if lost.model:
        try:
            model = read_checkpoint(lost.folder / _MODEL)
        except (OSError, CheckpointError) as error:
            troubles.append(f"{_MODEL}: {error}")
    return paints, model, troubles


def dismiss(lost: Recovery) -> None:
    """Offer it no more; it stays for two weeks."""
    with suppress(OSError):
        (lost.folder / _CLOSED).touch()


def _read_paint(path: Path) -> SavedAnnotation:
    with np.load(path, allow_pickle=False) as kept:
        labels = np.zeros(tuple(int(each) for each in kept["shape"]), kept["values"].dtype)
        labels.reshape(-1)[kept["places"]] = kept["values"]
        about = json.loads(str(kept["about"]))
    return SavedAnnotation(labels, about)


def _paints(folder: Path) -> list[Path]:
    return sorted(folder.glob(_PAINT.format("*")))


def _in_use(folder: Path) -> bool:
    try:
        with folder_lock(folder):
            return False
    except FolderLockedError:
        return True
    except OSError:
        return False
