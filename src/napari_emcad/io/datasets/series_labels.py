"""Folders of DICOM files that are labeled as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_emcad.io.datasets.pairing import (
    case_name,
    folder_images,
    image_of_label,
    subfolder,
    subfolders,
)
from napari_emcad.io.images.dicom.series import dicom_files

if TYPE_CHECKING:
    from pathlib import Path


def series_folders(folder: Path, labels: Path | None) -> list[Path]:
    """Return the folders of DICOM files in a folder that are labeled as a whole.

    A label file has the name of the folder, or is the only file in a folder of the name.

    Parameters
    ----------
    folder
        Folder of the images.
    labels
        That of the label files; None without any.
    """
    files = folder_images(labels) if labels is not None else []
    named = {*map(case_name, files), *map(image_of_label, files)}
    return [
        part
        for part in subfolders(folder)
        if (case_name(part) in named or only_label(part, labels)) and dicom_files(part)
    ]


def only_label(series: Path, labels: Path | None) -> Path | None:
    """Return the only file in the folder of labels of a series: ``labels/case1/seg.dcm``.

    None if there are several, or it has the name of one of the files of the series.
    """
    place = None if labels is None else subfolder(labels, (series.name.lower(),))
    files = [] if place is None else folder_images(place)
    own = set(map(case_name, folder_images(series))) if len(files) == 1 else set()
    is_whole = own and not {case_name(files[0]), image_of_label(files[0])} & own
    return files[0] if is_whole else None
