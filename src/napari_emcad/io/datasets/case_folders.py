"""The layout of a folder per case with an image and its labels: KiTS, SegTHOR."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_emcad.io.datasets.found_files import FoundFiles
from napari_emcad.io.datasets.pairing import LABEL_SUFFIXES, case_name, folder_images, subfolders
from napari_emcad.io.datasets.splits import with_splits_by_folder
from napari_emcad.io.images.opened_image import ImageFileError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_emcad.io.datasets.found_files import LabeledFile

_FEWEST = 2
"""Least number of folders that show what is the same in all of them."""


def case_folders(folder: Path) -> FoundFiles | None:
    """Find folders whose files have the same names, or the name of the folder and the same words.

    One of the files is named as labels, such as ``segmentation``, ``GT`` or ``…_seg``.

    Raises
    ------
    ImageFileError
        If there are several images per case, such as modalities (those of BraTS have a layout).
    """
    pairs: list[LabeledFile] = []
    left_out = 0
    for part in (folder, *subfolders(folder)):
        cases = [roles for case in subfolders(part) if (roles := _roles(case))]
        names = _image_and_labels(part, cases)
        if names is not None:
            image, labels = names
            labeled = [roles for roles in cases if labels in roles]
            pairs += [(roles[image], (roles[labels],)) for roles in labeled]
            left_out += len(cases) - len(labeled)
    note = f"{left_out:,} cases without labels are left out."
    names_of = {image: image.relative_to(folder).as_posix() for image, _ in pairs}
    notes = (note,) if left_out else ()
    found = FoundFiles("a folder per case", tuple(pairs), names=names_of, notes=notes)
    return with_splits_by_folder(found) if pairs else None


def _image_and_labels(folder: Path, cases: list[dict[str, Path]]) -> tuple[str, str] | None:
    """Return the names of image and labels in all cases; None if they differ or lack labels."""
    every = {name for roles in cases for name in roles}
    labels = [name for name in every if name in LABEL_SUFFIXES]
    images = sorted(every - set(labels))
    is_same = all(set(images) <= set(roles) for roles in cases)
    if len(cases) < _FEWEST or len(labels) != 1 or not images or not is_same:
        return None
    if len(images) > 1:
        listed = ", ".join(cases[0][name].name for name in images)
        raise ImageFileError(
            f"{folder} has {len(images)} images per case ({listed}); images of several files are "
            f"not read. Combine them into one file per case, or name folders with one of them "
            f"with --images and --labels."
        )
    return images[0], labels[0]


def _roles(case: Path) -> dict[str, Path]:
    """Return the files of a case by their names without that of the case; none if they are many."""
    files = folder_images(case)
    roles = {case_name(file).removeprefix(case.name).strip("_- .").lower(): file for file in files}
    return roles if len(roles) == len(files) else {}
