"""The folder of a segmentation of many files: finished parts, and a list of them."""

from __future__ import annotations

import hashlib
import json
import shutil
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.atomic_write import open_atomic
from napari_emcad.io.folder_lock import FolderLockedError, folder_lock
from napari_emcad.io.images.opened_image import first_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

MODEL_FILE = "model.safetensors"
"""Name of the file of the model in the folder of a run."""

_MANIFEST, _FORMAT = "manifest.jsonl", 2
_SUFFIX = "napari-emcad-run"

Entry = dict[str, Any]


class SegmentRunError(ValueError):
    """A run cannot be started or continued; the message says why and what to do."""


def run_folder(output: Path, is_folder: bool) -> Path:
    """Return the folder of a run: within a folder of outputs, or beside a single output."""
    return output / f".{_SUFFIX}" if is_folder else output.parent / f".{output.name}.{_SUFFIX}"


def write_part(path: Path, array: NDArray[Any]) -> None:
    """Write an array of a part; the file appears when it is complete."""
    with open_atomic(path) as file:
        np.save(file, array)


def read_part(path: Path) -> NDArray[Any]:
    """Return an array of a part, which stays on disk."""
    array: NDArray[Any] = np.load(path, mmap_mode="r")
    return array


def new_array(path: Path, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Return an array of zeros that lies on disk."""
    array: NDArray[Any] = np.lib.format.open_memmap(path, "w+", dtype, shape)
    return array


def file_identity(path: Path) -> Entry:
    """Return what changes with the content of a file, as values for JSON.

    Of a folder its own time and those of its metadata count, since it may have millions of chunks.
    """
    files = [path, *sorted(path.glob("*.json")), *sorted(path.glob(".z*"))]
    files = files if path.is_dir() else [path]
    stats = [(file.name, file.stat()) for file in files]
    size = stats[0][1].st_size if path.is_file() else 0
    return {
        "path": str(path.absolute()),
        "size": size,
        "times": [[name, stat.st_mtime_ns] for name, stat in stats],
    }


class SegmentRun:
    """The folder of a run, and the manifest of what is finished.

    Parameters
    ----------
    folder
        Path of the folder; see `run_folder`.

    Attributes
    ----------
    settings
        What the run was started with.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings: Mapping[str, Any] = {}
        self._images: dict[str, Entry] = {}
        self._parts: dict[str, set[str]] = {}
        self._finished: set[str] = set()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Create and lock the folder within a ``with`` block.

        Raises
        ------
        SegmentRunError
            If another run writes to the same output, or the folder cannot be written to.
        """
        with ExitStack() as stack:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                stack.enter_context(folder_lock(self.folder))
            except FolderLockedError:
                raise SegmentRunError(
                    f"Another run is writing to {self.folder.parent}; wait until it ends, or "
                    f"choose another output."
                ) from None
            except OSError as error:
                raise SegmentRunError(
                    f"{self.folder.parent} cannot be written to: {first_line(error)}; choose "
                    f"another output."
                ) from None
            yield

    def start(self, settings: Mapping[str, Any], overwrite: bool) -> None:
        """Continue the run of these settings, or begin it.

        Raises
        ------
        SegmentRunError
            If an unfinished run of other settings is there, unless it is to be overwritten.
        """
        plain = json.loads(json.dumps(settings))
        self._read()
        changed = sorted(name for name in plain if self.settings.get(name) != plain[name])
        if self.settings and changed:
            if self._images and not overwrite:
                raise SegmentRunError(
                    f"An unfinished run in {self.folder.parent} has other settings "
                    f"({', '.join(changed)}); repeat its command to go on, or add --overwrite to "
                    f"begin anew."
                )
            self._clear()
        if not self.settings:
            self._clear()
            self._append({"format": _FORMAT, "settings": plain})

    @property
    def is_empty(self) -> bool:
        """Whether no image has begun."""
        return not self._images

    def is_finished(self, output: Path) -> bool:
        """Whether an output of this run is complete."""
        return output.exists() and str(output.absolute()) in self._finished

    def has_begun(self, output: Path) -> bool:
        """Whether this run computes or has written an output, which then is its own."""
        return str(output.absolute()) in self._images

    def begin_image(self, output: Path, entry: Entry, overwrite: bool) -> Entry:
        """Return the entry of an image from an earlier start, or else this one, which is kept.

        Parameters
        ----------
        output
            The output of the image.
        entry
            ``"identity"`` of the image, and how it is cut into parts.
        overwrite
            Whether parts of an image that has changed since may be dropped.

        Raises
        ------
        SegmentRunError
            If the image has changed since.
        """
        name, entry = str(output.absolute()), json.loads(json.dumps(entry))
        known = self._images.get(name)
        if known is not None and known["identity"] == entry["identity"]:
            return known
        if known is not None and not overwrite:
            raise SegmentRunError(
                f"it has changed since the run began that wrote parts of {output}; add --overwrite "
                f"to begin anew."
            )
        self.clear_image(output)
        self._append({"output": name, "image": entry})
        return entry

    def image_folder(self, output: Path) -> Path:
        """Return the folder of the parts of an output.

        It is another one after the image or the settings have changed: a worker that lost its
        connection may still compute and write parts of before.
        """
        name = str(output.absolute())
        key = json.dumps([name, self._images.get(name), self.settings], sort_keys=True)
        folder = self.folder / hashlib.sha256(key.encode()).hexdigest()[:16]
        folder.mkdir(exist_ok=True)
        return folder

    def finished_parts(self, output: Path) -> frozenset[str]:
        """Return the keys of the parts of an output that are finished."""
        return frozenset(self._parts.get(str(output.absolute()), ()))

    def finish_part(self, output: Path, key: str) -> None:
        """Note that a part is finished."""
        self._append({"output": str(output.absolute()), "part": key})

    def finish_image(self, output: Path) -> None:
        """Note that an output is complete."""
        self._append({"output": str(output.absolute()), "finished": True})

    def remove_parts(self, output: Path) -> None:
        """Remove the files of the parts of an output."""
        shutil.rmtree(self.image_folder(output), ignore_errors=True)

    def clear_image(self, output: Path) -> None:
        """Forget the parts of an output."""
        self.remove_parts(output)
        self._append({"output": str(output.absolute()), "cleared": True})

    def remove(self) -> None:
        """Remove the folder of a run that is complete."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _clear(self) -> None:
        """Remove everything but the lock and the model, which is always that of this start."""
        self.settings = {}
        self._images, self._parts, self._finished = {}, {}, set()
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name not in (".in-use", MODEL_FILE):
                path.unlink()

    def _read(self) -> None:
        """Read the manifest; a line that a crash cut off, and what follows, does not count."""
        path = self.folder / _MANIFEST
        if not path.exists():
            return
        complete = b""
        for line in path.read_bytes().splitlines(keepends=True):
            try:
                entry = json.loads(line)
            except ValueError:
                break
            if not line.endswith(b"\n"):
                break
            self._apply(entry)
            complete += line
        path.write_bytes(complete)

    def _append(self, entry: Entry) -> None:
        path = self.folder / _MANIFEST
        try:
            with path.open("ab") as file:
                file.write(json.dumps(entry).encode() + b"\n")
        except OSError as error:
            raise SegmentRunError(f"{path} cannot be written: {first_line(error)}.") from None
        self._apply(entry)

    def _apply(self, entry: Entry) -> None:
        """Change what is known by one line of the manifest."""
        if "settings" in entry and entry.get("format") == _FORMAT:
            self.settings = entry["settings"]
            return
        output = entry.get("output", "")
        if "cleared" in entry:
            self._parts.pop(output, None)
            self._images.pop(output, None)
        elif "image" in entry:
            self._images[output] = entry["image"]
        elif "part" in entry:
            self._parts.setdefault(output, set()).add(entry["part"])
        elif "finished" in entry:
            self._finished.add(output)
