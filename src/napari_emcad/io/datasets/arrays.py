"""The layout of NPZ or HDF5 files that have an image and its labels, in one folder or in splits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_emcad.io.datasets.array_files import (
    array_files,
    case_of_slice,
    has_labels,
    is_slice,
    self_labeled,
)
from napari_emcad.io.datasets.found_files import FoundFiles
from napari_emcad.io.datasets.pairing import subfolders
from napari_emcad.io.datasets.splits import SPLITS, split_of, with_splits_by_prefix

if TYPE_CHECKING:
    from pathlib import Path


def arrays(folder: Path) -> FoundFiles | None:
    """Find NPZ or HDF5 files that have an image and its labels, also in folders of splits."""
    parts = {split: path for path in subfolders(folder) if (split := split_of(path.name))}
    files = {split: array_files(path) for split, path in parts.items()}
    files = {split: found for split, found in files.items() if found}
    own = array_files(folder)
    every = own or [path for found in files.values() for path in found]
    if not every or (own and files) or not has_labels(every[0]):
        return None
    found = FoundFiles(
        "arrays",
        self_labeled(every),
        cases={path: case_of_slice(path) for path in every if is_slice(path)},
    )
    if own:
        return with_splits_by_prefix(found)
    names = {path: path.relative_to(folder).as_posix() for path in every}
    found = replace(found, names=names)
    listed = {split: self_labeled(files[split]) for split in SPLITS if split in files}
    return found.with_splits(listed)
