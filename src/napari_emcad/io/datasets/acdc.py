"""The layouts of the cardiac MR data set ACDC: slices and volumes in HDF5, or NIfTI."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_emcad.io.datasets.array_files import (
    array_files,
    axes_of_volumes,
    self_labeled,
    summary_of,
)
from napari_emcad.io.datasets.found_files import FoundFiles, LabeledFile
from napari_emcad.io.datasets.pairing import (
    case_name,
    folder_images,
    image_of_label,
    pair_by_name,
    subfolders,
)
from napari_emcad.io.datasets.splits import SPLITS, list_entries, split_lists, split_of
from napari_emcad.io.images.opened_image import ImageFileError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HEART = ("right ventricle", "myocardium", "left ventricle")
"""Values 1 to 3 of the labels of the challenge ACDC."""

_FRAME = re.compile(r"_frame\d+", re.IGNORECASE)
_PATIENT = re.compile(r"patient[_-]?\d+", re.IGNORECASE)


def acdc(folder: Path) -> FoundFiles | None:
    """Find ACDC as HDF5 (``ACDC_training_slices/``, ``…_volumes/``; ``data/slices/``) or as NIfTI.

    Without lists of patients the volumes are of the patients whose slices are trained on, and
    therefore are the part ``"volumes"``, not ``"test"``.

    Raises
    ------
    ImageFileError
        If a list names a patient of whom there is no file, or a patient is in two lists.
    """
    places = {path.name.lower(): path for path in subfolders(folder)}
    data = places.get("data", folder)
    inner = {path.name.lower(): path for path in subfolders(data)}
    slices = _patient_files(places.get("acdc_training_slices") or inner.get("slices"))
    volumes = _patient_files(places.get("acdc_training_volumes") or data)
    if not slices or not volumes:
        return _as_distributed(folder)
    cases = {path: _patient_of(path) for path in [*slices, *volumes]}
    found = FoundFiles(
        "ACDC",
        self_labeled([*slices, *volumes]),
        class_names=HEART,
        cases={path: cases[path] for path in slices},
        axes=axes_of_volumes(volumes),
    )
    patients = {name: _patients(path) for name, path in split_lists(folder).items()}
    _check_patients(patients, set(cases.values()), folder)
    chosen = {
        name: [path for path in (slices if name == "train" else volumes) if cases[path] in listed]
        for name, listed in patients.items()
    } or {"train": slices, "volumes": volumes}
    found = found.with_splits({name: self_labeled(files) for name, files in chosen.items()})
    return replace(found, summary=summary_of(found, slices, volumes, len(HEART)))


def _as_distributed(folder: Path) -> FoundFiles | None:
    """Find ``patient001/patient001_frame01.nii.gz`` with ``…_gt``, also in ``training/`` …."""
    pairs: dict[str, list[LabeledFile]] = {}
    problems: list[str] = []
    for place in (folder, *subfolders(folder)):
        for patient in (path for path in subfolders(place) if _PATIENT.fullmatch(path.name)):
            frames = [path for path in folder_images(patient) if _FRAME.search(path.name)]
            truth = [path for path in frames if image_of_label(path)]
            found, missing = pair_by_name([f for f in frames if f not in truth], truth, patient)
            pairs.setdefault(split_of(place.name) or "", []).extend(found)
            problems += missing
    every = tuple(pair for part in pairs.values() for pair in part)
    if not every:
        return None
    cases = {image: _patient_of(image) for image, _ in every}
    patients = len(set(cases.values()))
    found_files = FoundFiles(
        "ACDC",
        every,
        tuple(problems),
        HEART,
        cases=cases,
        summary=f"{patients:,} cases, {len(every):,} volumes, {len(HEART) + 1} classes",
    )
    splits = {name: pairs[name] for name in SPLITS if name in pairs}
    return found_files.with_splits(splits) if splits and "" not in pairs else found_files


def _patient_files(folder: Path | None) -> list[Path]:
    return [path for path in array_files(folder) if _PATIENT.match(path.name)]


def _patient_of(path: Path) -> str:
    found = _PATIENT.match(path.name)
    return found.group().lower() if found else case_name(path)


def _patients(path: Path) -> set[str]:
    """Return the patients that a list names; those of slices and frames too."""
    return {
        found.group().lower() if (found := _PATIENT.search(entry)) else entry.lower()
        for entry in list_entries(path)
    }


def _check_patients(patients: Mapping[str, set[str]], present: set[str], folder: Path) -> None:
    seen: dict[str, str] = {}
    for split, listed in patients.items():
        for patient in sorted(listed):
            if patient not in present:
                raise ImageFileError(
                    f"The list of {folder} for {split} has {patient}, of whom there is no file; "
                    f"copy it, or correct the list."
                )
            if patient in seen:
                raise ImageFileError(
                    f"The lists of {folder} have {patient} for {seen[patient]} and for {split}; "
                    f"slices of a patient must be in one part."
                )
            seen[patient] = split
