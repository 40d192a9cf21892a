"""The layout of the abdominal CT data set Synapse (BTCV), as TransUNet prepares it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_emcad.io.datasets.array_files import (
    array_files,
    axes_of_volumes,
    case_of_slice,
    self_labeled,
    summary_of,
)
from napari_emcad.io.datasets.found_files import FoundFiles
from napari_emcad.io.datasets.label_coding import LabelCoding
from napari_emcad.io.datasets.pairing import subfolders
from napari_emcad.io.datasets.splits import list_entries, split_lists
from napari_emcad.io.images.labels import read_labels
from napari_emcad.io.images.opened_image import ImageFileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

ORGANS = (
    "aorta",
    "gallbladder",
    "left kidney",
    "right kidney",
    "liver",
    "pancreas",
    "spleen",
    "stomach",
)
"""Classes 1 to 8 of TransUNet's Synapse files."""

BTCV_ORGANS = (
    "spleen",
    "right kidney",
    "left kidney",
    "gallbladder",
    "esophagus",
    "liver",
    "stomach",
    "aorta",
    "inferior vena cava",
    "portal and splenic vein",
    "pancreas",
    "right adrenal gland",
    "left adrenal gland",
)
"""Values 1 to 13 of the labels of the challenge "Beyond the Cranial Vault"."""


def synapse(folder: Path) -> FoundFiles | None:
    """Find Synapse as TransUNet prepares it: ``train_npz/`` and ``test_vol_h5/``.

    Labels of all 13 organs are reduced to the eight that the papers report.

    Raises
    ------
    ImageFileError
        If a list names a file that is missing, or labels go beyond 13.
    """
    slices = array_files(_only(folder, "train_npz"))
    volumes = array_files(_only(folder, "test_vol_h5"))
    if not slices and not volumes:
        return None
    lists = split_lists(folder)
    slices, left_out = _listed(slices, lists.get("train"))
    volumes, more = _listed(volumes, lists.get("test"))
    pairs = self_labeled([*slices, *volumes])
    coding = _organ_coding(volumes or slices)
    found = FoundFiles(
        "Synapse",
        pairs,
        class_names=ORGANS,
        coding=coding,
        cases={path: case_of_slice(path) for path in slices},
        axes=axes_of_volumes(volumes),
        notes=_notes(left_out + more, coding),
    )
    parts = {"train": self_labeled(slices), "test": self_labeled(volumes)}
    found = found.with_splits({name: part for name, part in parts.items() if part})
    return replace(found, summary=summary_of(found, slices, volumes, len(ORGANS)))


def _only(folder: Path, prefix: str) -> Path | None:
    """Return the folder whose name begins so; refuse several."""
    found = [path for path in subfolders(folder) if path.name.lower().startswith(prefix)]
    if len(found) > 1:
        raise ImageFileError(
            f"{folder} has {' and '.join(path.name for path in found)}; keep the one that is "
            f"meant in the folder, and move the other elsewhere."
        )
    return found[0] if found else None


def _listed(files: Sequence[Path], path: Path | None) -> tuple[list[Path], int]:
    """Return the files that a list names, and how many others there are; all without a list."""
    if path is None or not files:
        return list(files), 0
    by_name = {_bare(file.name): file for file in files}
    entries = [_bare(entry) for entry in list_entries(path)]
    missing = [entry for entry in entries if entry not in by_name]
    if missing:
        raise ImageFileError(
            f"{path} lists {missing[0]}, of which {files[0].parent} has no file; copy it there, "
            f"or correct the list."
        )
    return [by_name[entry] for entry in dict.fromkeys(entries)], len(set(by_name) - set(entries))


def _bare(name: str) -> str:
    """Return a name without its folders and extensions (``case0001.npy.h5``)."""
    return name.replace("\\", "/").rsplit("/", 1)[-1].split(".", 1)[0]


def _organ_coding(files: Iterable[Path]) -> LabelCoding:
    """Return the coding of labels of 8 or 13 organs, by the largest value of any file.

    Every volume of an abdomen has organs beyond the eighth, so volumes alone decide: reading all
    slices takes minutes. A slice that contradicts them is refused when it is read.
    """
    most = len(BTCV_ORGANS)
    for path in files:
        largest = int(read_labels(path).max(initial=0))
        if largest > most:
            raise ImageFileError(
                f"{path} has the label {largest}; Synapse has 8 or {most} organs. Name another "
                f"--layout, such as arrays."
            )
        if largest > len(ORGANS):
            names = dict.fromkeys(range(1, most + 1), 0)
            names |= {BTCV_ORGANS.index(name) + 1: k for k, name in enumerate(ORGANS, start=1)}
            return LabelCoding(classes=tuple(names.items()))
    return LabelCoding()


def _notes(left_out: int, coding: LabelCoding) -> tuple[str, ...]:
    notes = []
    if coding.classes:
        others = ", ".join(name for name in BTCV_ORGANS if name not in ORGANS)
        notes.append(f"The labels have 13 organs; {others} are background, as in the papers.")
    if left_out:
        notes.append(f"{left_out:,} files that the lists do not name are left out.")
    return tuple(notes)
