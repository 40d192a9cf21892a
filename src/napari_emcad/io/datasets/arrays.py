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
from napari_emcad.io.images.named_arrays import array_shapes
from napari_emcad.io.images.opened_image import ImageFileError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_AXES = {0: "ZYX", 2: "YXZ"}
"""Axes of a volume by the axis along which its slices lie."""


def arrays(folder: Path) -> FoundFiles | None:
    """Find NPZ or HDF5 files that have an image and its labels, also in folders of splits."""
    parts = {split: path for path in subfolders(folder) if (split := split_of(path.name))}
    files = {split: array_files(path) for split, path in parts.items()}
    files = {split: found for split, found in files.items() if found}
    own = array_files(folder)
    every = own or [path for found in files.values() for path in found]
    if not every or (own and files) or not has_labels(every[0]):
        return None
    axes = _axes(every)
    found = FoundFiles(
        "arrays",
        self_labeled(every),
        cases={path: case_of_slice(path) for path in every if is_slice(path)},
        axes={} if axes is None else {3: axes},
        notes=() if axes is None else (_note(axes),),
    )
    if own:
        return with_splits_by_prefix(found)
    names = {path: path.relative_to(folder).as_posix() for path in every}
    found = replace(found, names=names)
    listed = {split: self_labeled(files[split]) for split in SPLITS if split in files}
    return found.with_splits(listed)


def _axes(files: Sequence[Path]) -> str | None:
    """Return the axes of the volumes in files; None if they have none, or do not show it.

    Raises
    ------
    ImageFileError
        If they differ between volumes.
    """
    axes: str | None = None
    first: Path | None = None
    for path in files:
        shapes = [shape for shape in array_shapes(path).values() if len(shape) > 1]
        volume = min(shapes, key=len, default=())
        own = _AXES.get(_axis_of_slices(volume)) if len(volume) == 3 else None
        if own and axes and own != axes:
            raise ImageFileError(
                f"{path} has slices along another axis than {first} by their shapes; save all "
                f"volumes with the slices along the first axis."
            )
        if own and not axes:
            axes, first = own, path
    return axes


def _axis_of_slices(shape: tuple[int, ...]) -> int:
    """Return the axis of a volume along which its slices lie: across squares, else the shortest."""
    a, b, c = shape
    if b == c:
        return 0
    return 2 if a == b else shape.index(min(shape))


def _note(axes: str) -> str:
    place = "first" if axes == "ZYX" else "last"
    return f"The slices of its volumes lie along their {place} axis by their shapes ({axes})."
