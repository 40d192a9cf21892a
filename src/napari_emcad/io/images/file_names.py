"""Names of image files and folders: extensions, also double ones such as ``.nii.gz``, and stems."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_PACKED = (".nii.gz", ".hdr.gz", ".img.gz", ".raw.gz")

_LABELS_OF = {
    ".nii": ".nii",
    ".nii.gz": ".nii.gz",
    ".hdr": ".nii.gz",
    ".hdr.gz": ".nii.gz",
    ".img": ".nii.gz",
    ".img.gz": ".nii.gz",
    ".mgz": ".mgz",
    ".mgh": ".mgz",
    ".nrrd": ".nrrd",
    ".nhdr": ".nrrd",
    ".mha": ".mha",
    ".mhd": ".mha",
    ".dcm": ".nii.gz",
    ".dicom": ".nii.gz",
    ".zarr": ".zarr",
}
"""Extension of the labels by extension of the image."""

LABEL_EXTENSIONS = (
    ".tif",
    ".tiff",
    ".png",
    ".npy",
    ".nii",
    ".nii.gz",
    ".mgz",
    ".nrrd",
    ".mha",
    ".zarr",
    ".dcm",
)
"""Extensions of the files, or of OME-Zarr the folders, in which labels can be written."""

VOLUME_EXTENSIONS = (".nii", ".nii.gz", ".mgz", ".nrrd", ".mha")
"""Those of them that contain the position in the patient."""


_FOLDERS = (".zarr", ".n5")
"""Extensions of folders that are one image."""

_ZARR_FILES = ("zarr.json", ".zgroup", ".zarray")
"""Files that a Zarr folder has one of."""


def extension_of(path: Path) -> str:
    """Return the extension in lower case, ``.nii.gz`` included; "" without one."""
    name = path.name.lower()
    return next((packed for packed in _PACKED if name.endswith(packed)), path.suffix.lower())


def stem_of(path: Path) -> str:
    """Return the name without its extension."""
    extension = extension_of(path)
    return path.name[: len(path.name) - len(extension)] if extension else path.name


def label_extension(path: Path) -> str:
    """Return the extension of the file in which the labels of an image are written by default."""
    return _LABELS_OF.get(extension_of(path), ".tif")


def is_zarr(path: Path) -> bool:
    """Return whether a path is the folder of a Zarr group or array."""
    return any(os.path.isfile(path / name) for name in _ZARR_FILES)  # False if too long a name


def is_image_folder(path: Path) -> bool:
    """Return whether a folder is one image, as Zarr folders are."""
    return os.path.isdir(path) and (path.suffix.lower() in _FOLDERS or is_zarr(path))
