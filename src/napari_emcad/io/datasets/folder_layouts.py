"""Layouts of image files and label files in two folders, also below others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_emcad.io.atomic_write import resolve_links
from napari_emcad.io.datasets.found_files import FoundFiles, LabeledFile
from napari_emcad.io.datasets.pairing import (
    case_name,
    folder_images,
    more_channels,
    pair_by_name,
    subfolder,
    subfolders,
    without_companions,
)
from napari_emcad.io.datasets.series_labels import only_label, series_folders
from napari_emcad.io.datasets.splits import with_splits_by_folder
from napari_emcad.io.images.folder import image_files
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.images.read import read_image
from napari_emcad.io.plain_text import composed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

IMAGE_FOLDERS = (
    "images",
    "image",
    "imgs",
    "img",
    "imagestr",
    "jpegimages",
    "original",
    "originals",
    "img_dir",
    "frames",
    "input",
    "inputs",
    "tissue images",
)
LABEL_FOLDERS = (
    "labels",
    "label",
    "masks",
    "mask",
    "mergedmask",
    "ground truth",
    "ground_truth",
    "groundtruth",
    "gt",
    "gts",
    "annotations",
    "labelstr",
    "segmentationclass",
    "1st_manual",
    "2nd_manual",
    "manual",
    "manual1",
    "manual2",
    "ann_dir",
    "seg",
    "segmentation",
    "segmentations",
    "target",
    "targets",
    "vessel",
    "vessels",
    "label masks",
    "label masks modify",
    "mask binary",
)
"""Names of folders of images and of labels, in lower case."""

_UNITED = "mergedmask"
"""Folder whose masks unite those of another one."""

_RESULTS = ("pred", "result", "output", "overlay", "vis", "edge", "bound", "contour", "heat")
"""Beginnings of the names of folders with pictures that were made of images and masks."""

_DEEPEST = 3
"""Most folders between a data set and the folders of its images."""


def two_folders(folder: Path) -> FoundFiles | None:
    """Find images and labels in two folders, such as ``Original/`` and ``Ground Truth/``."""
    images, labels = _the_one(folder, IMAGE_FOLDERS), _the_one(folder, LABEL_FOLDERS)
    if labels is None:
        return None
    if images is None:
        found = _images_elsewhere(folder, labels)
        return with_splits_by_folder(found) if found is not None and found.pairs else None
    return with_splits_by_folder(from_folders(images, labels))


def _the_one(folder: Path, names: tuple[str, ...]) -> Path | None:
    """Return the folder with files that has one of these names; None without any.

    Raises
    ------
    ImageFileError
        If there are several, as of the vessels and of the field of view of DRIVE.
    """
    present = [path for path in subfolders(folder) if composed(path.name).lower() in names]
    united = [path for path in present if path.name.lower() == _UNITED]
    filled = [path for path in present if _places(path, path)] if len(present) > 1 else present
    if len(filled) > 1 and not united:
        listed = " and ".join(path.name for path in filled)
        raise ImageFileError(
            f"{folder} has {listed}, and it is not clear which one is meant; name two folders "
            f"with --images and --labels."
        )
    return next(iter(united or filled), None)


def _images_elsewhere(folder: Path, labels: Path) -> FoundFiles | None:
    """Pair labels with the images of the only other folder, or with those beside their folder."""
    others = [path for path in subfolders(folder) if path != labels and _places(path, path)]
    beside = without_companions(folder_images(folder))
    if len(others) == 1 and others[0].name.lower().startswith(_RESULTS):
        return None
    if len(others) == 1 and not beside:
        return from_folders(others[0], labels)
    if others or not beside:
        return None
    pairs, problems = pair_by_name(beside, folder_images(labels), labels)
    return FoundFiles("folders", tuple(pairs), tuple(problems))


def nested_folders(folder: Path) -> FoundFiles | None:
    """Find folders that are data sets of two folders each, such as ``train/`` and ``test/``."""
    parts = list(_data_sets(folder, _DEEPEST))
    if not parts:
        return None
    found = {part: two_folders(part) for part in parts}
    present = [one for one in found.values() if one is not None]
    _check_copies({part: one for part, one in found.items() if one is not None})
    pairs = [pair for one in present for pair in one.pairs]
    names = {image: image.relative_to(folder).as_posix() for image, _ in pairs}
    problems = [problem for one in present for problem in one.problems]
    notes = [note for one in present for note in one.notes]
    together = FoundFiles(
        "nested folders", tuple(pairs), tuple(problems), names=names, notes=tuple(notes)
    )
    return with_splits_by_folder(together)


def _check_copies(parts: Mapping[Path, FoundFiles]) -> None:
    """Refuse parts that hold the same images in two formats, as of CVC-ClinicDB."""
    seen: dict[frozenset[str], tuple[Path, Path]] = {}
    for part, found in parts.items():
        images = sorted((case_name(image), image) for image, _ in found.pairs)
        if not images:
            continue
        names, first = frozenset(name for name, _ in images), images[0][1]
        other, its_first = seen.setdefault(names, (part, first))
        if other != part and _same_pixels(first, its_first):
            raise ImageFileError(
                f"{other} and {part} hold the same images; name one of the two folders."
            )


def _same_pixels(one: Path, other: Path) -> bool:
    return np.array_equal(read_image(one).pixels, read_image(other).pixels)


def _data_sets(folder: Path, depth: int) -> Iterable[Path]:
    """Yield the folders below a folder that have images and labels in two folders."""
    for part in subfolders(folder):
        if subfolder(part, IMAGE_FOLDERS) and subfolder(part, LABEL_FOLDERS):
            yield part
        elif depth > 1:
            yield from _data_sets(part, depth - 1)


def from_folders(
    images: Path, labels: Path, layout: str = "folders", channels: bool = False
) -> FoundFiles:
    """Pair the files of two folders by their names, in subfolders those of the same path.

    Parameters
    ----------
    images, labels
        The folders.
    layout
        Name of the layout.
    channels
        Whether files such as ``a_0001`` beside ``a_0000`` are further channels of an image, which
        are left out here; otherwise they are refused.

    Raises
    ------
    ImageFileError
        If a folder is missing or empty, or both are the same.
    """
    for folder in (images, labels):
        if not folder.is_dir():
            raise ImageFileError(f"{folder} is not a folder; check the path.")
    if resolve_links(images) == resolve_links(labels):
        raise ImageFileError(f"{images} cannot hold images and labels both; use two folders.")
    places = _places(images, labels, channels=channels)
    if not places:
        image_files(images)  # says what is missing
    if not _places(labels, labels):
        raise ImageFileError(_no_label_images(labels))
    pairs: list[LabeledFile] = []
    problems: list[str] = []
    extra: list[Path] = []
    for place, files in places.items():
        where = _same_place(labels, place)
        label_files = folder_images(where) if where is not None else []
        alone = {file: label for file in files if (label := _only_label(file, where))}
        pairs += [(image, (label,)) for image, label in alone.items()]
        others = [file for file in files if file not in alone]
        found, missing = pair_by_name(others, label_files, where or labels / place)
        used = {label for _, masks in found for label in masks}
        extra += [label for label in label_files if label not in used]
        pairs, problems = [*pairs, *found], [*problems, *missing]
    is_flat = set(places) == {""}
    names = {} if is_flat else {i: i.relative_to(images).as_posix() for i, _ in pairs}
    notes = () if problems or not extra else (_without_image(extra),)
    return FoundFiles(layout, tuple(pairs), tuple(problems), names=names, notes=notes)


def _no_label_images(labels: Path) -> str:
    """Return why a folder without images cannot be that of the labels."""
    kinds = sorted({path.suffix.lower() for path in labels.rglob("*.*") if path.is_file()})
    if not kinds:
        return f"{labels} has no images in it."
    return (
        f"{labels} has no label images, but {', '.join(kinds)}; draw their outlines as masks with "
        f"a number per pixel, or export them as COCO, YOLO, CVAT or LabelMe."
    )


def _places(
    folder: Path, labels: Path | None = None, place: str = "", channels: bool = False
) -> dict[str, list[Path]]:
    """Return the image files of a folder and its subfolders by the path of their folder.

    A folder with the DICOM files of a series, for which there is a label file (of its name, or in
    a folder of its name), is one image.

    Parameters
    ----------
    folder
        The folder.
    labels
        The folder of their label files, which tell frames of a movie from channels.
    place
        Path of the folder within that of the data set.
    channels
        Whether further channels are left out.

    Raises
    ------
    ImageFileError
        If a file is a further channel of an image.
    """
    files = without_companions(folder_images(folder))
    where = None if labels is None else _same_place(labels, place)
    label_files = folder_images(where) if where is not None else []
    series = series_folders(folder, where)
    files += series
    further = more_channels(files, label_files)
    files = [file for file in files if file not in further]
    if further and not channels:
        raise ImageFileError(
            f"{further[0].name} in {folder} is a further channel of an image; images of several "
            f"files are not read. Combine them into one file per image."
        )
    places = {place: files} if files else {}
    for part in subfolders(folder):
        if part not in series:
            places |= _places(part, labels, f"{place}/{part.name}".strip("/"), channels)
    return places


def _only_label(image: Path, labels: Path | None) -> Path | None:
    """Return the label file of a series that lies in a folder of its own."""
    return only_label(image, labels) if image.is_dir() else None


def _same_place(labels: Path, place: str) -> Path | None:
    """Return the folder of this path among the labels, whatever the case of its letters."""
    folder: Path | None = labels
    for part in filter(None, place.split("/")):
        folder = subfolder(folder, (part.lower(),)) if folder is not None else None
    return folder


def _without_image(labels: list[Path]) -> str:
    more = f" and {len(labels) - 1:,} more have" if len(labels) > 1 else " has"
    return f"{labels[0].name}{more} no image of the name, and is not used."
