"""The layout of the Cell Tracking Challenge: ``01/t000.tif`` and ``01_GT/SEG/man_seg000.tif``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from napari_emcad.io.datasets.found_files import FoundFiles
from napari_emcad.io.datasets.pairing import case_name, folder_images, subfolders
from napari_emcad.io.images.opened_image import ImageFileError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_emcad.io.datasets.found_files import LabeledFile

_SEQUENCE, _FRAME = re.compile(r"\d{2}"), re.compile(r"t(\d+)")
_LABELS, _PART = re.compile(r"man_seg(\d+)"), re.compile(r"man_seg_?\d+_\d+")


def cell_tracking(folder: Path) -> FoundFiles | None:
    """Find sequences of frames, some of which have the segmentation of a person.

    Other frames are left out. All frames of a sequence stay together in every part.

    Raises
    ------
    ImageFileError
        If single slices of volumes are segmented, or a segmentation has no frame.
    """
    pairs: list[LabeledFile] = []
    cases: dict[Path, str] = {}
    left_out = 0
    for sequence in (path for path in subfolders(folder) if _SEQUENCE.fullmatch(path.name)):
        frames = _numbered(folder_images(sequence), _FRAME)
        truth = folder / f"{sequence.name}_GT" / "SEG"
        files = folder_images(truth) if truth.is_dir() else []
        if any(_PART.fullmatch(case_name(file)) for file in files):
            raise ImageFileError(
                f"{truth} has segmentations of single slices, which are not read; choose a data "
                f"set of flat images, or of whole volumes."
            )
        labels = _numbered(files, _LABELS)
        missing = sorted(set(labels) - set(frames))
        if missing:
            raise ImageFileError(f"{labels[missing[0]]} has no frame in {sequence}; copy it there.")
        pairs += [(frames[number], (labels[number],)) for number in sorted(labels)]
        cases |= dict.fromkeys(frames.values(), sequence.name)
        left_out += len(frames) - len(labels)
    names = {image: image.relative_to(folder).as_posix() for image, _ in pairs}
    note = f"{left_out:,} frames without a segmentation are left out."
    notes = (note,) if left_out else ()
    found = FoundFiles("cell tracking", tuple(pairs), names=names, cases=cases, notes=notes)
    return found if pairs else None


def _numbered(files: list[Path], name: re.Pattern[str]) -> dict[int, Path]:
    """Return files by the number in their names, those of other names left out."""
    found = ((name.fullmatch(case_name(file)), file) for file in files)
    return {int(match.group(1)): file for match, file in found if match}
