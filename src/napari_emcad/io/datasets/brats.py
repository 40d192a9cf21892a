"""The layout of BraTS: a folder per case with a NIfTI file per modality, and the labels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_emcad.io.datasets.found_files import FoundFiles
from napari_emcad.io.datasets.label_coding import LabelCoding
from napari_emcad.io.datasets.pairing import case_name, folder_images, subfolders
from napari_emcad.io.datasets.splits import with_splits_by_folder

if TYPE_CHECKING:
    from pathlib import Path

    from napari_emcad.io.datasets.found_files import LabeledFile


@dataclass(frozen=True, slots=True)
class _Naming:
    """How the files of some years are named and labeled.

    Attributes
    ----------
    modalities
        Ends of the names of the images, in the order of the channels.
    coding
        What the values of the labels stand for.
    names
        Names of the classes.
    named
        Names of the folders of cases whose classes have these names.
    """

    modalities: tuple[str, ...]
    coding: LabelCoding
    names: tuple[str, ...]
    named: re.Pattern[str]


_CLASSES = ("tumor core without enhancement", "edema", "enhancing tumor")

_NAMINGS = (
    _Naming(
        ("t1", "t1ce", "t2", "flair"),
        LabelCoding(classes=((4, 3),), known=(1, 2, 4)),
        _CLASSES,
        re.compile(""),
    ),
    _Naming(
        ("t1n", "t1c", "t2w", "t2f"),
        LabelCoding(),
        _CLASSES,
        re.compile(r"BraTS-(?:GLI|MEN|MET|SSA)-", re.IGNORECASE),
    ),
)
"""BraTS until 2021, whose label 3 is not used, and since 2023."""

_LABELS = "seg"
_TIME_POINT = re.compile(r"(?<=-\d{5})-\d{3}$")
"""Number of the time point of a patient at the end of the name of a case."""


def brats(folder: Path) -> FoundFiles | None:
    """Find folders with ``CASE_t1``, ``_t1ce``, ``_t2``, ``_flair`` and ``_seg``, or ``-t1n`` ….

    The four modalities are the channels of an image. Time points of a patient stay together.
    """
    cases = [
        (case, _roles(case))
        for place in (folder, *subfolders(folder))
        for case in subfolders(place)
    ]
    for naming in _NAMINGS:
        found = _cases(folder, [c for c in cases if set(naming.modalities) & set(c[1])], naming)
        if found is not None:
            return with_splits_by_folder(found)
    return None


def _cases(
    folder: Path, cases: list[tuple[Path, dict[str, Path]]], naming: _Naming
) -> FoundFiles | None:
    """Return the cases of one naming; None if no case has all modalities and labels."""
    complete = {*naming.modalities, _LABELS}
    if not any(complete <= set(roles) for _, roles in cases):
        return None
    pairs: list[LabeledFile] = []
    problems: list[str] = []
    channels: dict[Path, tuple[Path, ...]] = {}
    names: dict[Path, str] = {}
    patients: dict[Path, str] = {}
    unlabeled = 0
    for case, roles in cases:
        missing = sorted(complete - set(roles))
        others = sorted(path.name for role, path in roles.items() if role not in complete)
        if missing == [_LABELS] and not others:
            unlabeled += 1
        elif missing:
            beside = f" ({', '.join(others)} may be one of them)" if others else ""
            problems.append(
                f"{case.name} has no file {', '.join(missing)}{beside}; each case needs the four "
                f"modalities and {_LABELS}."
            )
        else:
            files = tuple(roles[name] for name in naming.modalities)
            pairs.append((files[0], (roles[_LABELS],)))
            channels[files[0]] = files
            names[files[0]] = case.relative_to(folder).as_posix()
            patients[files[0]] = _TIME_POINT.sub("", case.name)
    is_named = all(naming.named.match(case.name) for case, _ in cases)
    notes = [f"The four channels are {', '.join(naming.modalities)}."]
    notes += [f"{unlabeled:,} cases without labels are left out."] * bool(unlabeled)
    return FoundFiles(
        "BraTS",
        tuple(pairs),
        tuple(problems),
        naming.names if is_named else None,
        naming.coding,
        names=names,
        cases=patients,
        channels=channels,
        notes=tuple(notes),
    )


def _roles(case: Path) -> dict[str, Path]:
    """Return the files of a case by the last word of their names; others by their names."""
    files = folder_images(case)
    return {
        name.removeprefix(case.name).lstrip("_-").lower(): file
        for file in files
        if (name := case_name(file))
    }
