"""Volumes, patients and movies that images belong to by their names."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_emcad.io.datasets.pairing import case_name

if TYPE_CHECKING:
    from napari_emcad.io.datasets.found_files import FoundFiles

_PART = re.compile(r"(.*[^ _-])[ _-]+(?:slice|frame)[ _-]*\d+", re.IGNORECASE)
_NUMBERS = re.compile(r"(\d+)_\d+")
"""Names with the number of a slice or frame, and of patient and image: ``1_12``."""


def with_cases_by_name(found: FoundFiles) -> FoundFiles:
    """Return a data set whose images stay together in every split if their names say so.

    They do if the names of all images have the number of a slice or frame at the end, or are those
    of a patient and an image. Images that the layout assigned to cases stay as they are.
    """
    if found.cases:
        return found
    names = {image: case_name(image) for image, _ in found.pairs}
    for pattern in (_PART, _NUMBERS):
        matches = {image: pattern.fullmatch(name) for image, name in names.items()}
        cases = {image: match.group(1) for image, match in matches.items() if match}
        count = len(set(cases.values()))
        if names and len(cases) == len(names) and 1 < count < len(names):
            note = (
                f"By their names the {len(names):,} images are of {count:,} patients or volumes; "
                f"those of one stay together."
            )
            splits = {name: replace(part, cases=cases) for name, part in found.splits.items()}
            return replace(found, cases=cases, splits=splits, notes=(*found.notes, note))
    return found
