"""The images of a data set by the names with which annotation files list them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_emcad.io.datasets.pairing import folder_images, subfolders
from napari_emcad.io.datasets.splits import split_in
from napari_emcad.io.plain_text import composed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_DEEPEST = 4
"""Most folders between a data set and an image."""


def index_images(folder: Path, depth: int = _DEEPEST) -> dict[str, list[Path]]:
    """Return the image files of a data set by their names in NFC; all of them by ""."""
    index: dict[str, list[Path]] = {"": []}
    places = [(folder, 0)]
    while places:
        place, level = places.pop()
        for path in folder_images(place):
            index.setdefault(composed(path.name), []).append(path)
            index[""].append(path)
        if level < depth:
            places += [(part, level + 1) for part in subfolders(place)]
    return index


def listed_image(file_name: str, source: Path, index: Mapping[str, list[Path]]) -> Path | str:
    """Return the file of an image, or why there is none."""
    name = composed(file_name.replace("\\", "/"))
    candidates = index.get(name.rsplit("/", 1)[-1], [])
    exact = [path for path in candidates if f"/{composed(path.as_posix())}".endswith(f"/{name}")]
    beside = [path for path in exact if path.parent == source.parent]
    split = split_in(source.stem)
    of_split = [path for path in exact if split and split_in(path.parent.name) == split]
    for found in (beside, of_split, exact):
        if len(found) == 1:
            return found[0]
    if len(exact) > 1:
        return f"{source.name} lists {file_name}, of which there are {len(exact)}; keep one."
    return f"{source.name} lists {file_name}, which does not exist; copy it into the data set."
