"""The layout of CHAOS: a DICOM series per patient, and a picture of its labels per slice."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.datasets.found_files import FoundFiles
from napari_emcad.io.datasets.label_coding import LabelCoding
from napari_emcad.io.datasets.pairing import case_name, folder_images, subfolder, subfolders
from napari_emcad.io.datasets.slice_files import labels_of_slices
from napari_emcad.io.datasets.splits import with_splits_by_folder
from napari_emcad.io.images.dicom.series import dicom_files
from napari_emcad.io.images.labels import read_labels
from napari_emcad.io.images.opened_image import ImageFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.io.images.opened_image import OpenedImage
    from napari_emcad.io.images.read_options import ReadOptions

_ORGANS = ("liver", "right kidney", "left kidney", "spleen")
_LEVELS = ((55, 70), (110, 135), (175, 200), (240, 255))
"""Classes of the MR series, and the gray levels that stand for each of them."""

_NUMBER = re.compile(r"\d+")
_DEEPEST = 5
"""Most folders between a data set and the folder of a series with its labels."""


def chaos(folder: Path) -> FoundFiles | None:
    """Find ``CT/1/DICOM_anon/`` with ``Ground/``, or ``MR/1/T2SPIR/`` and ``T1DUAL/``.

    The pictures of MR have the names of the DICOM files of the series; those of CT are numbered as
    its files are sorted. Of the two phases of T1DUAL the one is read whose files the pictures name.

    Raises
    ------
    ImageFileError
        If there are series of CT, in which the liver alone is labeled, beside those of MR.
    """
    places = list(_places(folder, _DEEPEST))
    if not places:
        return None
    kinds = {_is_mr(place) for place in places}
    if len(kinds) > 1:
        raise ImageFileError(
            f"{folder} has series of CT, in which only the liver is labeled, and of MR; name the "
            f"folder of one of them."
        )
    found = {place: _series(place) for place in places}
    problems = tuple(problem for problem in found.values() if isinstance(problem, str))
    series = {place: one for place, one in found.items() if not isinstance(one, str)}
    patients = {
        one: (place.parent if _is_mr(place) else place).as_posix()
        for place, (one, _) in series.items()
    }
    count = len(set(patients.values()))
    slices = sum(len(pictures) for _, pictures in series.values())
    classes = _ORGANS if kinds == {True} else _ORGANS[:1]
    found_files = FoundFiles(
        "CHAOS",
        tuple((one, tuple(pictures.values())) for one, pictures in series.values()),
        problems,
        classes,
        _coding(dict(series.values()), _organs if kinds == {True} else _liver),
        names={one: one.relative_to(folder).as_posix() for one, _ in series.values()},
        cases=patients,
        summary=f"{count:,} case{'s' * (count > 1)}, {len(series):,} series, {slices:,} "
        f"slices, {len(classes) + 1} classes",
    )
    return with_splits_by_folder(found_files)


def _coding(
    series: Mapping[Path, Mapping[Path, Path]], read: Callable[[Path], NDArray[Any]]
) -> LabelCoding:
    """Return the coding of series with a picture of labels per file."""
    pictures = {file: picture for files in series.values() for file, picture in files.items()}

    def compose(
        image: OpenedImage,
        files: tuple[Path, ...],
        shape: tuple[int, ...],
        options: ReadOptions | None,
    ) -> tuple[NDArray[Any], str]:
        return labels_of_slices(image, pictures, read, files[0].parent), ""

    return LabelCoding(compose=compose)


def _places(folder: Path, depth: int) -> list[Path]:
    """Return the folders that have a series and its labels."""
    if subfolder(folder, ("dicom_anon",)) and subfolder(folder, ("ground",)):
        return [folder]
    inner = subfolders(folder) if depth else []
    return [place for part in inner for place in _places(part, depth - 1)]


def _is_mr(place: Path) -> bool:
    return place.name.upper() in ("T1DUAL", "T2SPIR")


def _series(place: Path) -> tuple[Path, dict[Path, Path]] | str:
    """Return the folder of a series with the picture of each of its files, or why there is none."""
    dicom, ground = subfolder(place, ("dicom_anon",)), subfolder(place, ("ground",))
    pictures = [] if ground is None else folder_images(ground)
    if dicom is None or not pictures:
        return f"{place} has no pictures of labels in Ground; leave it out."
    for series in subfolders(dicom) or [dicom]:
        files = dicom_files(series)
        by_name = {case_name(path): path for path in pictures}
        if _is_mr(place) and {case_name(file) for file in files} == set(by_name):
            return series, {file: by_name[case_name(file)] for file in files}
        if not _is_mr(place) and len(files) == len(pictures) and _are_consecutive(pictures):
            pairs = zip(sorted(files, key=_order), sorted(pictures, key=_order), strict=True)
            return series, dict(pairs)
    return (
        f"{place} has {len(pictures)} pictures in Ground, which are not those of the files in "
        f"DICOM_anon by their names or number; copy the data again."
    )


def _order(path: Path) -> list[int]:
    return list(map(int, _NUMBER.findall(path.name)))


def _are_consecutive(pictures: list[Path]) -> bool:
    """Return whether the last numbers in names follow each other without a gap."""
    numbers = sorted(order[-1] if (order := _order(path)) else -1 for path in pictures)
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def _liver(path: Path) -> NDArray[Any]:
    return np.asarray(read_labels(path) > 0, np.int16)


def _organs(path: Path) -> NDArray[Any]:
    """Return the classes of the gray levels of a picture; refuse others."""
    levels = read_labels(path)
    classes = np.zeros(levels.shape, np.int16)
    for number, (low, high) in enumerate(_LEVELS, start=1):
        classes[(levels >= low) & (levels <= high)] = number
    others = np.unique(levels[(levels != 0) & (classes == 0)]).tolist()
    if others:
        raise ImageFileError(
            f"{path} has the gray levels {', '.join(map(str, others[:5]))}, which stand for no "
            f"organ of CHAOS; copy it again."
        )
    return classes
