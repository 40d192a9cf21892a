"""Image files in folders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_emcad.io.images.file_names import extension_of, is_image_folder, stem_of
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.plain_text import composed

if TYPE_CHECKING:
    from pathlib import Path

_HEADERS = {
    ".img": (".hdr",),
    ".img.gz": (".hdr", ".hdr.gz"),
    ".raw": (".mhd", ".nhdr"),
    ".zraw": (".mhd",),
    ".raw.gz": (".nhdr",),
}
"""Extensions of the files that describe the pixels in a file."""

_NOT_IMAGES = {".csv", ".json", ".txt", ".md", ".yaml", ".yml", ".xml", ".zip", ".db", ".ini"}
_NOT_IMAGES |= {".meta", ".tsv", ".log", ".html", ".pdf", ".docx", ".xlsx", ".xls", ".toml", ".cfg"}
_NOT_IMAGES |= {".py", ".ipynb", ".sh", ".m", ".pkl", ".pickle", ".pth", ".pt", ".rar", ".7z"}
_NOT_IMAGES |= {".tar", ".geojson", ".rst", ".bval", ".bvec", ".mat", ".cache"}


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
    files = [path for path in visible if path.is_file() or is_image_folder(path)]
    names = {path.name.lower() for path in files}
    images = [
        path
        for path in files
        if path.suffix.lower() not in _NOT_IMAGES and not _is_part(path, names)
    ]
    images.sort(key=lambda path: composed(str(path)))
    if not images:
        raise ImageFileError(f"{folder} has no images in it.")
    return images


def _is_part(path: Path, names: set[str]) -> bool:
    """Return whether a file holds the pixels of another one that describes them."""
    headers = _HEADERS.get(extension_of(path), ())
    return any(f"{stem_of(path)}{header}".lower() in names for header in headers)
