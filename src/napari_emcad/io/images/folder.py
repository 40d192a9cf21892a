"""Image files in folders, and pairs of an image and its label file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_emcad.io.atomic_write import resolve_links
from napari_emcad.io.images.file_names import extension_of, stem_of
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.plain_text import composed

if TYPE_CHECKING:
    from pathlib import Path

FOLDERS = (".zarr", ".n5")
"""Extensions of folders that are one image."""

_HEADERS = {
    ".img": (".hdr",),
    ".img.gz": (".hdr", ".hdr.gz"),
    ".raw": (".mhd", ".nhdr"),
    ".zraw": (".mhd",),
    ".raw.gz": (".nhdr",),
}
"""Extensions of the files that describe the pixels in a file."""

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


def pair_files(images: Path, labels: Path) -> list[tuple[Path, Path]]:
    """Return every image of a folder with the label file of the same stem, sorted by name.

    Raises
    ------
    ImageFileError
        If a folder is missing or empty, both are the same, an image has no label file or several,
        or two images have the same stem.
    """
    pairs, problems = match_files(images, labels)
    if problems:
        raise ImageFileError(problems[0])
    return pairs


def match_files(images: Path, labels: Path) -> tuple[list[tuple[Path, Path]], list[str]]:
    """Return the pairs as `pair_files` does, and a message for every image without one.

    Raises
    ------
    ImageFileError
        If a folder is missing or empty, or both are the same.
    """
    label_stems, image_stems = _by_stem(labels), _by_stem(images)
    if resolve_links(images) == resolve_links(labels):
        raise ImageFileError(f"{images} cannot hold images and labels both; use two folders.")
    pairs, problems = [], []
    for stem, files in image_stems.items():
        label_files = label_stems.get(stem, [])
        if len(files) > 1:
            names = " and ".join(path.name for path in files)
            problems.append(f"{names} have the same labels by their names; rename or remove one.")
        elif len(label_files) != 1:
            problems.append(
                f"{files[0].name} has {len(label_files) or 'no'} label files of its name in "
                f"{labels}; each image needs one, such as {stem}.png."
            )
        else:
            pairs.append((files[0], label_files[0]))
    return pairs, problems


def _by_stem(folder: Path) -> dict[str, list[Path]]:
    stems: dict[str, list[Path]] = {}
    for path in image_files(folder):
        stems.setdefault(composed(stem_of(path)), []).append(path)
    return stems
