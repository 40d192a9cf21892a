"""The folder of a training: its state to go on from, its history, its curves."""

from __future__ import annotations

import csv
import io
import json
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from napari_emcad.io.atomic_write import write_bytes
from napari_emcad.io.folder_lock import FolderLockedError, folder_lock
from napari_emcad.io.reports.curves import draw_curves
from napari_emcad.training.config import with_current_names
from napari_emcad.training.events import EpochEnd, kept_epoch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_STATE, _HISTORY, _CURVES = "resume.pt", "history", "curves.png"
FORMAT = 1


class RunError(ValueError):
    """A training's folder cannot be written to or gone on from; one sentence says why."""


class TrainingRun:
    """A folder that a training writes to.

    Parameters
    ----------
    folder
        Made if it is not there.

    Raises
    ------
    RunError
        If it cannot be made or written to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made = not folder.exists()
        if folder.is_file():
            raise RunError(f"{folder} cannot be made: it is a file; name a folder.")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(
                f"{folder} cannot be made: {error.strerror}. Name another folder."
            ) from None
        self._write(".writable", b"")
        (folder / ".writable").unlink()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other trainings out of the folder; one that was made for nothing is removed.

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
            if self._made:
                with suppress(OSError):  # it is not empty, as a rule
                    self.folder.rmdir()

    @property
    def has_state(self) -> bool:
        """Whether there is a state to go on from."""
        return (self.folder / _STATE).exists()

    @property
    def file_names(self) -> tuple[str, ...]:
        """Names of the files that a training writes besides its state."""
        return (f"{_HISTORY}.csv", f"{_HISTORY}.json", _CURVES)

    def save(self, state: dict[str, Any], about: dict[str, Any]) -> None:
        """Keep a state; the one before stays until it is complete.

        Parameters
        ----------
        state
            Of a `Snapshot`.
        about
            What it belongs to, compared when it is gone on from; plain values.

        Raises
        ------
        RunError
            If the disk does not take it.
        """
        import torch

        content = io.BytesIO()
        torch.save({"format": FORMAT, "about": json.dumps(about), "state": state}, content)
        self._write(_STATE, content.getvalue())

    def load(self, about: dict[str, Any]) -> dict[str, Any]:
        """Return the state to go on from.

        Raises
        ------
        RunError
            If there is none, it is damaged, or it belongs to another training.
        """
        import torch

        path = self.folder / _STATE
        if not path.exists():
            raise RunError(
                f"{self.folder} has no training to go on with; start it without --resume."
            )
        try:
            kept = torch.load(path, map_location="cpu", weights_only=True)
            state: dict[str, Any] = kept["state"]
            before = json.loads(kept["about"])
            if "training" in before:  # settings may have names of an earlier release
                before["training"] = with_current_names(before["training"])
        except Exception:  # noqa: BLE001  (a damaged file raises almost anything)
            raise RunError(
                f"{path} is damaged; delete it, or start anew in another folder."
            ) from None
        differing = _differing(before, json.loads(json.dumps(about)))
        if differing:
            raise RunError(
                f"{self.folder} holds a training with other {', '.join(sorted(differing))}; go on "
                f"with the same{_told_values(differing)}, or start anew in another folder."
            )
        return state

    def write_history(self, epochs: Sequence[EpochEnd]) -> None:
        """Write the history as CSV and JSON, and its curves as a PNG; the kept epoch is named.

        Raises
        ------
        RunError
            If the disk does not take them.
        """
        kept = kept_epoch(epochs)
        rows = [{**asdict(each), "kept": each is kept} for each in epochs]
        table = io.StringIO()
        writer = csv.DictWriter(table, [*(each.name for each in fields(EpochEnd)), "kept"])
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


def _differing(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Return what a training was of by name where it is of something else now, settings singly."""
    differing: dict[str, Any] = {}
    for name in {*before, *now}:
        one, other = before.get(name), now.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            differing |= _differing(one, other)
        elif one != other:
            differing[name] = one
    return differing


def _told_values(settings: dict[str, Any]) -> str:
    """Return in brackets the values that are short enough to be said."""
    plain = {k: v for k, v in sorted(settings.items()) if isinstance(v, (bool, int, float))}
    told = ", ".join(f"{name}={json.dumps(value)}" for name, value in plain.items())
    return f" ({told})" if told else ""
