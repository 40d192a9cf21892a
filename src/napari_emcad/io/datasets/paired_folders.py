"""The layout of a folder of images beside one of labels per part: ``train/``, ``train_labels/``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from napari_emcad.io.datasets.folder_layouts import from_folders
from napari_emcad.io.datasets.found_files import FoundFiles
from napari_emcad.io.datasets.pairing import folder_images, subfolders
from napari_emcad.io.datasets.splits import SPLITS, split_in
from napari_emcad.io.images.opened_image import ImageFileError

if TYPE_CHECKING:
    from pathlib import Path

_LABELS = re.compile(r"[_ -]?(?:labels?|masks?|annot(?:ations?)?|gt|ground[_ ]?truth)$")
_IMAGES = re.compile(r"[_ -]?(?:images?|imgs?|input|data)$")
_TASK = re.compile(r"[_-](?:part|task)[\d-]+")
"""Number of the task in the names of ISIC's folders."""


def paired_folders(folder: Path) -> FoundFiles | None:
    """Find folders whose names differ by a word for labels: CamVid, Carvana, ISIC.

    Raises
    ------
    ImageFileError
        If a folder of images has two of labels, or the parts are named alike.
    """
    places = [path for path in subfolders(folder) if folder_images(path)]
    labels: dict[str, Path] = {}
    for path in places:
        key = _key(path, _LABELS)
        if key and key in labels:
            raise ImageFileError(
                f"{folder} has {labels[key].name} and {path.name}, both with labels of {key}; name "
                f"two folders with --images and --labels."
            )
        if key:
            labels[key] = path
    images = {_key(path, _IMAGES) or _plain(path): path for path in places}
    pairs = {key: (images[key], labels[key]) for key in labels if images.get(key)}
    found = {key: from_folders(*pair, layout="paired folders") for key, pair in pairs.items()}
    return _together(folder, found) if found else None


def _together(folder: Path, found: dict[str, FoundFiles]) -> FoundFiles:
    """Return the files of all parts, with the parts if their names say which they are."""
    every = [pair for part in found.values() for pair in part.pairs]
    together = FoundFiles(
        "paired folders",
        tuple(every),
        tuple(problem for part in found.values() for problem in part.problems),
        names={image: image.relative_to(folder).as_posix() for image, _ in every},
        notes=tuple(note for part in found.values() for note in part.notes),
    )
    splits = {split_in(key): part.pairs for key, part in found.items()}
    if len(splits) < len(found) or "" in splits:
        return together
    return together.with_splits({s: splits[s] for s in SPLITS if s in splits})


def _key(path: Path, word: re.Pattern[str]) -> str:
    """Return the name of a folder without a word at its end; "" without the word."""
    name = _plain(path)
    found = word.search(name)
    return name[: found.start()] if found else ""


def _plain(path: Path) -> str:
    return _TASK.sub("", path.name.lower())
