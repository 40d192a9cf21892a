"""The folder of a training run: its state for resuming, its history, and its curves."""

from __future__ import annotations

import csv
import io
import json
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from napari_emcad.io.atomic_write import write_bytes
from napari_emcad.io.folder_lock import FolderLockedError, folder_lock
from napari_emcad.io.plain_text import composed
from napari_emcad.io.reports.curves import draw_curves
from napari_emcad.training.config import Augmentation, with_current_names
from napari_emcad.training.events import EpochEnd, selected_epoch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_STATE, _HISTORY, _CURVES = "resume.pt", "history", "curves.png"

FORMAT = 1
"""Version of the state file."""

CONTENTS = "contents"
"""Setting that has the checksums of images and labels."""

_MOST_NAMES = 5
"""Number of changed settings that are listed before the others are counted."""


class RunError(ValueError):
    """A run folder cannot be written to or resumed; the message says why."""


class TrainingRun:
    """A folder that a training writes to.

    Parameters
    ----------
    folder
        Path of the folder, which is created if it does not exist.

    Raises
    ------
    RunError
        If it cannot be created or written to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._created = not folder.exists()
        if folder.is_file():
            raise RunError(f"{folder} cannot be created: it is a file; name a folder.")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(
                f"{folder} cannot be created: {error.strerror}. Name another folder."
            ) from None
        self._write(".writable", b"")
        (folder / ".writable").unlink()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the folder against other trainings; if it was created for this one, remove it empty.

        Raises
        ------
        RunError
            If another training is writing to it.
        """
        try:
            with folder_lock(self.folder):
                yield
        except FolderLockedError:
            raise RunError(
                f"Another training is writing to {self.folder}; wait for it, or name another "
                f"folder."
            ) from None
        finally:
            if self._created:
                with suppress(OSError):  # usually it is not empty
                    self.folder.rmdir()

    @property
    def has_state(self) -> bool:
        """Whether there is a state to resume from."""
        return (self.folder / _STATE).exists()

    @property
    def file_names(self) -> tuple[str, ...]:
        """Names of the files that a training writes besides its state."""
        return (f"{_HISTORY}.csv", f"{_HISTORY}.json", _CURVES)

    def save(self, state: dict[str, Any], settings: dict[str, Any]) -> None:
        """Save a state atomically, in place of the previous one.

        Parameters
        ----------
        state
            State of the trainer, from a `Snapshot`.
        settings
            Settings of the training as plain values, which must be the same when it is resumed.

        Raises
        ------
        RunError
            If writing fails.
        """
        import torch

        content = io.BytesIO()
        torch.save({"format": FORMAT, "about": json.dumps(settings), "state": state}, content)
        self._write(_STATE, content.getvalue())

    def load(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Return the state to resume from.

        Parameters
        ----------
        settings
            Settings of the training, see `save`.

        Raises
        ------
        RunError
            If there is no state, it is damaged, or its settings are different.
        """
        import torch

        path = self.folder / _STATE
        if not path.exists():
            raise RunError(f"{self.folder} has no training to resume; start it without --resume.")
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
            state: dict[str, Any] = content["state"]
            saved = _composed_names(json.loads(content["about"]))
            saved = _with_current_settings(saved, settings)
        except Exception:  # noqa: BLE001  (torch raises errors of any type for damaged files)
            raise RunError(
                f"{path} is damaged; delete it, or start anew in another folder."
            ) from None
        changed = _changed_settings(saved, _composed_names(json.loads(json.dumps(settings))))
        if changed:
            raise RunError(
                f"{self.folder} holds a training with other {_listed(changed)}; resume "
                f"with the same{_in_brackets(changed)}, or start anew in another folder."
            )
        return state

    def write_history(self, epochs: Sequence[EpochEnd]) -> None:
        """Write the history as CSV and JSON, and its curves as a PNG; the kept epoch is marked.

        Raises
        ------
        RunError
            If writing fails.
        """
        kept = selected_epoch(epochs)
        rows = [{**asdict(epoch), "kept": epoch is kept} for epoch in epochs]
        table = io.StringIO()
        writer = csv.DictWriter(table, [*(field.name for field in fields(EpochEnd)), "kept"])
        writer.writeheader()
        writer.writerows(rows)
        self._write(f"{_HISTORY}.csv", table.getvalue().encode())
        self._write(f"{_HISTORY}.json", json.dumps(rows, indent=1).encode())
        self._write(_CURVES, draw_curves(epochs))

    def _write(self, name: str, content: bytes) -> None:
        try:
            write_bytes(self.folder / name, content)
        except OSError as error:
            raise RunError(f"{self.folder / name} cannot be written: {error.strerror}.") from None


def _composed_names(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings with all names in Unicode's composed form."""
    composed_settings: dict[str, Any] = json.loads(
        composed(json.dumps(settings, ensure_ascii=False))
    )
    return composed_settings


def _with_current_settings(saved: dict[str, Any], current: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a run with the names of today; an earlier release may have saved it.

    Contents are compared only for images that both have; those of an old run are not known.
    """
    saved = dict(saved)
    if "training" in saved:
        training = saved["training"] = with_current_names(saved["training"])
        if "augmentation" in training:  # a kind that is newer than the run was off
            kinds = current.get("training", {}).get("augmentation", {})
            off = {kind: value for kind, value in asdict(Augmentation()).items() if kind in kinds}
            training["augmentation"] = off | training["augmentation"]
    if "preprocessing" in saved:
        saved["preprocessing"] = {"pool_channels": "all", **saved["preprocessing"]}
    known, now = saved.get(CONTENTS, {}), current.get(CONTENTS, {})
    if CONTENTS in current:
        saved[CONTENTS] = {name: known.get(name, digest) for name, digest in now.items()}
    return saved


def _listed(changed: dict[str, Any]) -> str:
    """Return the names of settings, of many the first ones."""
    names, more = sorted(changed), len(changed) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _changed_settings(saved: dict[str, Any], current: dict[str, Any]) -> dict[str, Any]:
    """Return the saved values of the settings that are different now; nested ones are flattened."""
    changed: dict[str, Any] = {}
    for name in {*saved, *current}:
        before, now = saved.get(name), current.get(name)
        if isinstance(before, dict) and isinstance(now, dict):
            changed |= _changed_settings(before, now)
        elif before != now:
            changed[name] = before
    return changed


def _in_brackets(settings: dict[str, Any]) -> str:
    """Return the short values among some settings as `` (name=value, …)``, or ""."""
    short = {
        k: v
        for k, v in sorted(settings.items())
        if isinstance(v, (bool, int, float)) or k == "pool_channels"
    }
    listed = ", ".join(f"{name}={json.dumps(value)}" for name, value in short.items())
    return f" ({listed})" if listed else ""
