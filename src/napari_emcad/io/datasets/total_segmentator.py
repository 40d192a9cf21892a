"""The layout of TotalSegmentator: a folder per case, and a file per structure in it."""

from __future__ import annotations

import csv
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_emcad.annotation.label_rules import MOST_CLASSES
from napari_emcad.io.datasets.class_files import composed_of_classes
from napari_emcad.io.datasets.class_names import class_names
from napari_emcad.io.datasets.found_files import FoundFiles
from napari_emcad.io.datasets.label_coding import LabelCoding
from napari_emcad.io.datasets.pairing import case_name, folder_images, subfolder, subfolders
from napari_emcad.io.datasets.splits import SPLITS, split_of, with_splits_by_folder
from napari_emcad.io.images.opened_image import ImageFileError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_emcad.io.datasets.found_files import LabeledFile

_IMAGES = ("ct", "mri")


def total_segmentator(folder: Path) -> FoundFiles | None:
    """Find ``s0000/ct.nii.gz`` (or ``mri``) with ``s0000/segmentations/liver.nii.gz`` ….

    Classes are numbered by the alphabet, or as ``classes.yaml`` lists those that are wanted; the
    column ``split`` of ``meta.csv`` gives the parts.

    Raises
    ------
    ImageFileError
        If there are too many structures, or ``classes.yaml`` lists one that no case has.
    """
    cases = {case: files for case in subfolders(folder) if (files := _case(case))}
    if not cases:
        return None
    structures = sorted({case_name(path) for _, masks in cases.values() for path in masks})
    wanted = _wanted(folder, structures)
    pairs: list[LabeledFile] = []
    problems: list[str] = []
    for case, (image, masks) in cases.items():
        present = {case_name(path): path for path in masks}
        missing = [name for name in wanted if name not in present]
        if missing:
            problems.append(
                f"{case.name} has no file of {missing[0]} in {masks[0].parent}; each case needs "
                f"the files of all structures, empty ones too."
            )
        else:
            pairs.append((image, tuple(present[name] for name in wanted)))
    numbers = {name: k for k, name in enumerate(wanted, start=1)}
    coding = LabelCoding(compose=composed_of_classes(numbers, case_name))
    names = {image: image.parent.relative_to(folder).as_posix() for image, _ in pairs}
    found = FoundFiles(
        "TotalSegmentator",
        tuple(pairs),
        tuple(problems),
        tuple(wanted),
        coding,
        names=names,
        summary=f"{len(cases):,} case{'s' * (len(cases) > 1)}, {len(structures):,} structures, "
        f"{len(wanted):,} classes",
    )
    return _with_listed_parts(found, folder / "meta.csv")


def _case(case: Path) -> tuple[Path, list[Path]] | None:
    """Return the image of a case and the files of its structures; None if it is no case."""
    masks = subfolder(case, ("segmentations",))
    images = [path for path in folder_images(case) if case_name(path).lower() in _IMAGES]
    files = [] if masks is None else folder_images(masks)
    return (images[0], files) if len(images) == 1 and files else None


def _wanted(folder: Path, structures: list[str]) -> list[str]:
    """Return the structures that are classes, in their order."""
    listed = class_names(folder)
    if listed is None and len(structures) > MOST_CLASSES:
        raise ImageFileError(
            f"{folder} has {len(structures)} structures, more than {MOST_CLASSES} classes; list "
            f"those that are wanted in its classes.yaml, as in 'classes: [liver, spleen]'."
        )
    unknown = [name for name in listed or () if name not in structures]
    if unknown:
        raise ImageFileError(
            f"classes.yaml of {folder} lists {unknown[0]}, of which no case has a file; the "
            f"structures are {', '.join(structures[:8])}, …"
        )
    return list(listed or structures)


def _with_listed_parts(found: FoundFiles, table: Path) -> FoundFiles:
    """Return the cases in the parts that a table lists; those of other folders are left out."""
    listed = _parts(table)
    if not listed:
        return with_splits_by_folder(found)
    splits: dict[str, list[LabeledFile]] = {}
    left_out = 0
    for image, masks in found.pairs:
        part = split_of(listed.get(image.parent.name, ""))
        if part is None:
            left_out += 1
        else:
            splits.setdefault(part, []).append((image, masks))
    note = f"{left_out:,} cases that {table.name} does not list are left out."
    kept = tuple(pair for part in splits.values() for pair in part)
    found = replace(found, pairs=kept, notes=(*found.notes, *[note] * bool(left_out)))
    return found.with_splits({name: splits[name] for name in SPLITS if name in splits})


def _parts(table: Path) -> dict[str, str]:
    """Return the part of every case; nothing without a table of them."""
    try:
        lines = table.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    separator = ";" if lines and ";" in lines[0] else ","
    rows = list(csv.DictReader(lines, delimiter=separator))
    return {
        row["image_id"]: row["split"] or ""
        for row in rows
        if row.get("image_id") and "split" in row
    }
