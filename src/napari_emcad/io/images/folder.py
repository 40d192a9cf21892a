"""Image files in folders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.plain_text import composed

if TYPE_CHECKING:
    from pathlib import Path

FOLDERS = (".zarr", ".n5")
"""Extensions of folders that are one image."""

_NOT_IMAGES = {".csv", ".json", ".txt", ".md", ".yaml", ".yml", ".xml", ".zip", ".db", ".ini"}


def image_files(folder: Path) -> list[Path]:
    """Return the files of a folder that may be images, and Zarr folders, sorted by name.

    Raises
    ------
    ImageFileError
        If it is not a folder, or contains no such files.
    """
    if not folder.is_dir():
        raise ImageFileError(f"{folder} is not a folder; check the path.")
    visible = [path for path in folder.iterdir() if path.name[0] != "."]
    files = [path for path in visible if path.is_file() or path.suffix.lower() in FOLDERS]
    images = [path for path in files if path.suffix.lower() not in _NOT_IMAGES]
    images.sort(key=lambda path: composed(str(path)))
    if not images:
        raise ImageFileError(f"{folder} has no images in it.")
    return images
