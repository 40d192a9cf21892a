"""A project: annotations, versions of the model, classes and settings in one folder.

The folder can be moved together with its images to another computer: paths of images are stored
relative to it as well.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_emcad.io.annotation_file import SavedAnnotation, annotation_bytes, read_annotation
from napari_emcad.io.checkpoints.files import read_checkpoint, write_checkpoint
from napari_emcad.io.checkpoints.sniff import CheckpointError

if TYPE_CHECKING:
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint

SUFFIX = ".emcad"

_INDEX, _FORMAT, _FORMAT_VERSION = "project.json", "napari-emcad-project", 1


class ProjectError(ValueError):
    """A project cannot be written or read; the message is for the user."""


@dataclass(frozen=True, slots=True, eq=False)
class SavedVersion:
    """A version of the model.

    Attributes
    ----------
    checkpoint
        The model.
    about
        Origin, number of strokes and scores, as plain values for JSON.
    """

    checkpoint: Checkpoint
    about: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class SavedProject:
    """Content of a project.

    Attributes
    ----------
    annotations
        Annotation layers; their metadata has the path of the image.
    versions
        Versions of the model, oldest first.
    current
        Number of the version in use, counted from 0; None without versions.
    classes
        (name, color) of classes 1, 2, …
    settings
        Settings of the segmentation, as plain values for JSON.
    review
        Images to review with their states, as plain values for JSON; ``"path"`` is that of a file.
    """

    annotations: tuple[SavedAnnotation, ...] = ()
    versions: tuple[SavedVersion, ...] = ()
    current: int | None = None
    classes: tuple[tuple[str, str], ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    review: tuple[dict[str, Any], ...] = ()


def write_project(folder: Path, project: SavedProject) -> None:
    """Write a project; one that is there is replaced when the new one is complete.

    Raises
    ------
    ProjectError
        If the folder is something else than a project, or cannot be written.
    """
    folder = folder.absolute()
    if folder.exists() and not (folder / _INDEX).is_file():
        raise ProjectError(f"{folder} is no project; choose another name.")
    try:
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            _write_content(temporary, folder, project)
            temporary.chmod(0o777 & ~_umask())
            _replace(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except (OSError, CheckpointError) as error:
        raise ProjectError(f"{folder} cannot be written: {error}") from None


def read_project(folder: Path) -> tuple[SavedProject, list[str]]:
    """Read a project.

    Returns
    -------
    tuple
        The project, and a message for every part that cannot be read. Paths of images are those
        beside the folder if they exist there. No code in the files is executed.

    Raises
    ------
    ProjectError
        If the folder is no project, or one of a newer release.
    """
    index = _read_index(folder)
    problems: list[str] = []
    annotations = []
    for name in index["annotations"]:
        try:
            annotations.append(_located(read_annotation(folder / name), folder))
        except (OSError, ValueError, KeyError) as error:
            problems.append(f"{name}: {error}")
    versions, current = [], index["current"]
    for number, entry in enumerate(index["versions"]):
        try:
            checkpoint = read_checkpoint(folder / entry["file"])
        except (OSError, CheckpointError) as error:
            problems.append(f"{entry['file']}: {error}")
            if current is not None and number <= current:
                current = max(current - 1, 0)
        else:
            versions.append(SavedVersion(checkpoint, dict(entry["about"])))
    classes = tuple((str(name), str(color)) for name, color in index["classes"])
    project = SavedProject(
        tuple(annotations),
        tuple(versions),
        current if versions else None,
        classes,
        dict(index["settings"]),
        tuple(_found(entry, folder) for entry in index.get("review", ())),
    )
    return project, problems


def _write_content(folder: Path, final: Path, project: SavedProject) -> None:
    names = []
    for number, annotation in enumerate(project.annotations, start=1):
        names.append(f"annotation-{number}.npz")
        about = annotation.metadata | {"relative": _relative(annotation.metadata["path"], final)}
        content = annotation_bytes(replace(annotation, metadata=about))
        (folder / names[-1]).write_bytes(content)
    versions = []
    for number, version in enumerate(project.versions, start=1):
        file = f"model-{number}.safetensors"
        write_checkpoint(version.checkpoint, folder / file)
        versions.append({"file": file, "about": version.about})
    index = {
        "format": _FORMAT,
        "version": _FORMAT_VERSION,
        "annotations": names,
        "versions": versions,
        "current": project.current,
        "classes": [list(pair) for pair in project.classes],
        "settings": project.settings,
        "review": [
            entry | {"relative": _relative(entry.get("path"), final)} for entry in project.review
        ],
    }
    (folder / _INDEX).write_text(json.dumps(index, indent=1), encoding="utf-8")


def _replace(new: Path, folder: Path) -> None:
    """Put a complete folder in the place of another one, which is removed afterwards."""
    if not folder.exists():
        new.rename(folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
    folder.rename(old / folder.name)
    try:
        new.rename(folder)
    except OSError:
        (old / folder.name).rename(folder)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _read_index(folder: Path) -> dict[str, Any]:
    try:
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ProjectError(f"{folder} is no project: it has no {_INDEX}.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ProjectError(f"{folder / _INDEX} cannot be read: {error}") from None
    if not isinstance(index, dict) or index.get("format") != _FORMAT:
        raise ProjectError(f"{folder} is no project of napari-emcad.")
    if index.get("version") != _FORMAT_VERSION:
        raise ProjectError(f"{folder} was written by a newer release; update napari-emcad.")
    problem = _problem_of(index)
    if problem:
        raise ProjectError(f"{folder / _INDEX} is damaged: {problem}.")
    return index


def _problem_of(index: dict[str, Any]) -> str:
    """Return what is wrong with an index, or ""; names of files must stay within the folder."""
    annotations, versions, classes = (
        index.get(name) for name in ("annotations", "versions", "classes")
    )
    if not isinstance(annotations, list) or not all(map(_is_file_name, annotations)):
        return "its list of annotations is wrong"
    if not isinstance(versions, list) or not all(map(_is_version, versions)):
        return "its list of versions is wrong"
    if not isinstance(classes, list) or not all(map(_is_pair, classes)):
        return "its list of classes is wrong"
    current = index.get("current")
    if current is not None and not (type(current) is int and 0 <= current < len(versions)):
        return "its current version is wrong"
    review = index.get("review", [])
    if not isinstance(review, list) or not all(isinstance(entry, dict) for entry in review):
        return "its list of images to review is wrong"
    return "" if isinstance(index.get("settings"), dict) else "its settings are missing"


def _is_file_name(name: Any) -> bool:
    return isinstance(name, str) and bool(name) and name == Path(name).name and name != ".."


def _is_version(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("about"), dict):
        return False
    return _is_file_name(entry.get("file"))


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2


def _relative(path: Any, folder: Path) -> str | None:
    """Return the path of an image relative to a folder; None if there is none."""
    if not path:
        return None
    with suppress(ValueError):
        return Path(os.path.relpath(path, folder)).as_posix()
    return None


def _located(annotation: SavedAnnotation, folder: Path) -> SavedAnnotation:
    """Return an annotation with the path at which its image is found now."""
    return replace(annotation, metadata=_found(annotation.metadata, folder))


def _found(about: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return values with the path at which a file is found now: relative to a project, or not."""
    relative = about.get("relative")
    if not isinstance(relative, str):
        return about
    path = Path(os.path.normpath(folder.absolute() / relative))
    return about | {"path": str(path)} if path.exists() else about


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
