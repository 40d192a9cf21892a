"""NPZ and HDF5 files that have an image and its labels, as data sets of slices and volumes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from napari_emcad.io.datasets.pairing import case_name
from napari_emcad.io.images.folder import image_files
from napari_emcad.io.images.named_arrays import array_shapes
from napari_emcad.io.images.opened_image import ImageFileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from napari_emcad.io.datasets.found_files import FoundFiles, LabeledFile

_EXTENSIONS = (".npz", ".h5", ".hdf5")
_SLICE = re.compile(r"[_ -]*slice[_ -]*\d+$", re.IGNORECASE)


def array_files(folder: Path | None) -> list[Path]:
    """Return the NPZ and HDF5 files of a folder; none without the folder."""
    if folder is None or not folder.is_dir():
        return []
    try:
        return [path for path in image_files(folder) if path.suffix.lower() in _EXTENSIONS]
    except ImageFileError:
        return []


def has_labels(path: Path) -> bool:
    """Return whether a file has two arrays of one size, as image and labels have."""
    shapes = list(array_shapes(path).values())
    return any(
        one[:2] == other[:2] or one == other[: len(one)]
        for n, one in enumerate(shapes)
        for other in shapes[n + 1 :]
    )


def case_of_slice(path: Path) -> str:
    """Return the name of a file without the number of its slice."""
    return _SLICE.sub("", case_name(path))


def is_slice(path: Path) -> bool:
    """Return whether the name of a file has the number of a slice."""
    return bool(_SLICE.search(case_name(path)))


def self_labeled(files: Iterable[Path]) -> tuple[LabeledFile, ...]:
    """Return files that are image and label file both as pairs."""
    return tuple((path, (path,)) for path in files)


def axes_of_volumes(volumes: Iterable[Path]) -> dict[int, str]:
    """Return the axes by their number; slices lie along the shortest axis of a volume.

    Raises
    ------
    ImageFileError
        If that is not the first or the last one, or differs between volumes.
    """
    axes: dict[int, str] = {2: "YX"}
    for path in volumes:
        for shape in array_shapes(path).values():
            if len(shape) != 3:
                continue
            shortest = {0: "ZYX", 2: "YXZ"}.get(shape.index(min(shape)))
            if shortest is None or axes.setdefault(3, shortest) != shortest:
                raise ImageFileError(
                    f"{path} has {'×'.join(map(str, shape))} pixels, and it is not clear along "
                    f"which axis its slices lie; save it with the slices along the first axis."
                )
    return axes


def summary_of(
    found: FoundFiles, slices: Sequence[Path], volumes: Sequence[Path], classes: int
) -> str:
    """Return the numbers of cases, slices, volumes and classes (with the background) as text."""
    parts = []
    if slices:
        cases = len({found.case_of(path) for path in slices})
        parts.append(f"{cases:,} case{'s' * (cases > 1)}, {len(slices):,} slices")
    if volumes:
        test = "test " * ("test" in found.splits and "volumes" not in found.splits)
        parts.append(f"{len(volumes):,} {test}volume{'s' * (len(volumes) > 1)}")
    return f"{', '.join(parts)}, {classes + 1} classes"
