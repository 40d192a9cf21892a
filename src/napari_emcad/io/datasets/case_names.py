"""Volumes, patients and movies that images belong to by their names."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_emcad.io.datasets.pairing import case_name

if TYPE_CHECKING:
    from pathlib import Path

    from napari_emcad.io.datasets.found_files import FoundFiles

_PART = re.compile(r"(.*[^ _-])[ _-]+(?:slice|frame)[ _-]*\d+", re.IGNORECASE)
_NUMBERS = re.compile(r"(?!(?:19|20)\d\d_)(\d{1,4})_\d+")
"""Names with the number of a slice or frame, and of patient (but no year) and image: ``1_12``."""

_FEWEST = 5
"""Least count of first numbers in such names that are patients; fewer may be classes."""

_OTHER = re.compile(
    r"part|fold|batch|set|split|class|grade|type|stage|level|group|train|val|test|task|image|label|"
    r"mask",
    re.IGNORECASE,
)
"""Words in the names of numbered folders that are no patients."""


def with_cases_by_name(found: FoundFiles) -> FoundFiles:
    """Return a data set whose images stay together in every split if their names say so.

    They do if the names of all images have the number of a slice or frame at the end, or are those
    of a patient and an image, or if all lie in numbered folders. Images that the layout assigned to
    cases stay as they are.
    """
    if found.cases:
        return found
    images = [image for image, _ in found.pairs]
    for case_of, fewest in ((_by_slice, 2), (_by_numbers, _FEWEST), (_by_folder, 2)):
        cases = {image: case for image in images if (case := case_of(found, image))}
        count = len(set(cases.values()))
        if images and len(cases) == len(images) and fewest <= count < len(images):
            note = (
                f"By their names the {len(images):,} images are of {count:,} patients or volumes; "
                f"those of one stay together."
            )
            splits = {name: replace(part, cases=cases) for name, part in found.splits.items()}
            return replace(found, cases=cases, splits=splits, notes=(*found.notes, note))
    return found


def _by_slice(found: FoundFiles, image: Path) -> str:
    match = _PART.fullmatch(case_name(image))
    return match.group(1) if match else ""


def _by_numbers(found: FoundFiles, image: Path) -> str:
    match = _NUMBERS.fullmatch(case_name(image))
    return match.group(1) if match else ""


def _by_folder(found: FoundFiles, image: Path) -> str:
    """Return the innermost numbered folder of an image, such as ``P01`` of ``P01/images/1.png``."""
    folders = found.name_of(image).split("/")[:-1]
    numbered = [name for name in folders if re.search(r"\d", name) and not _OTHER.search(name)]
    return numbered[-1] if numbered else ""
