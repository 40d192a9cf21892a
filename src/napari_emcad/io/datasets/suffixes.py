"""The layout of images beside their label files: a suffix such as ``_mask``, or a word before."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from napari_emcad.io.datasets.found_files import FoundFiles, LabeledFile
from napari_emcad.io.datasets.pairing import (
    case_name,
    folder_images,
    image_of_label,
    pair_by_name,
    starts_with_label_word,
    subfolders,
    without_companions,
)
from napari_emcad.io.datasets.splits import with_splits_by_folder, with_splits_by_prefix

if TYPE_CHECKING:
    from pathlib import Path


def suffixes(folder: Path) -> FoundFiles | None:
    """Find images beside their label files: ``a_mask`` beside ``a``, ``segmentation-0`` …."""
    files = {
        place: without_companions(folder_images(place)) for place in (folder, *subfolders(folder))
    }
    marked = {place: _labels_among(here) for place, here in files.items()}
    if not any(marked.values()):
        return None
    pairs: list[LabeledFile] = []
    problems: list[str] = []
    cases: dict[Path, str] = {}
    for place, here in files.items():
        images = [file for file in here if file not in marked[place]]
        found, missing = pair_by_name(images, marked[place], place)
        pairs, problems = [*pairs, *found], [*problems, *missing]
        if _is_case(place, images):
            cases |= dict.fromkeys(images, place.name)
    if not pairs and not problems:
        return None
    names = {image: image.relative_to(folder).as_posix() for image, _ in pairs}
    found_files = FoundFiles("suffixes", tuple(pairs), tuple(problems), names=names, cases=cases)
    by_folder = with_splits_by_folder(found_files)
    return by_folder if by_folder.splits else with_splits_by_prefix(found_files)


def _labels_among(files: list[Path]) -> list[Path]:
    """Return label files by their suffix, or without any by a word before their number."""
    labels = [file for file in files if image_of_label(file)]
    return labels or [file for file in files if starts_with_label_word(file)]


def _is_case(folder: Path, images: list[Path]) -> bool:
    """Return whether images are slices of one patient, by the name of their folder."""
    has_number = re.search(r"\d", folder.name)
    return bool(has_number) and all(case_name(image).startswith(folder.name) for image in images)
