"""The layouts of data sets: how each places its images and label files in a folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_emcad.io.atomic_write import resolve_links
from napari_emcad.io.datasets.pairing import image_of_label, more_channels, pair_by_name
from napari_emcad.io.images.folder import image_files
from napari_emcad.io.images.opened_image import ImageFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    LabeledFile = tuple[Path, tuple[Path, ...]]

IMAGE_FOLDERS = (
    "images",
    "image",
    "imgs",
    "img",
    "imagestr",
    "jpegimages",
    "original",
    "originals",
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
)
"""Names of folders of images and of labels, in lower case; the first that exists is taken."""


@dataclass(frozen=True, slots=True, eq=False)
class FoundFiles:
    """The labeled images of a folder.

    Attributes
    ----------
    layout
        Name of the layout.
    pairs
        Image files with their label files: one, or several masks that are united.
    problems
        A message for every image without labels.
    class_names
        Names of classes 1, 2, …; None if the data set has none.
    """

    layout: str
    pairs: tuple[LabeledFile, ...]
    problems: tuple[str, ...] = ()
    class_names: tuple[str, ...] | None = None

    def __str__(self) -> str:
        masks = sum(len(labels) for _, labels in self.pairs)
        several = f" with {masks:,} masks" if masks > len(self.pairs) else ""
        count = len(self.pairs)
        return f"{self.layout}: {count:,} image{'s' * (count > 1)}{several}"


def two_folders(folder: Path) -> FoundFiles | None:
    """Find images and labels in two folders, such as ``Original/`` and ``Ground Truth/``."""
    images, labels = (_subfolder(folder, names) for names in (IMAGE_FOLDERS, LABEL_FOLDERS))
    if images is None or labels is None:
        return None
    return from_folders(images, labels)


def from_folders(images: Path, labels: Path, layout: str = "folders") -> FoundFiles:
    """Pair the files of two folders by their names.

    Raises
    ------
    ImageFileError
        If a folder is missing or empty, or both are the same.
    """
    files = image_files(images)
    channels = more_channels(files)
    if channels:
        raise ImageFileError(
            f"{channels[0].name} in {images} is a further channel of an image; images of several "
            f"files are not read. Combine them into one file per image."
        )
    label_files = image_files(labels)
    if resolve_links(images) == resolve_links(labels):
        raise ImageFileError(f"{images} cannot hold images and labels both; use two folders.")
    pairs, problems = pair_by_name(files, label_files, labels)
    return FoundFiles(layout, tuple(pairs), tuple(problems))


def nnunet(folder: Path) -> FoundFiles | None:
    """Find the training cases of a data set of nnU-Net or the Medical Segmentation Decathlon."""
    description = folder / "dataset.json"
    images, labels = _subfolder(folder, ("imagestr",)), _subfolder(folder, ("labelstr",))
    if images is None or labels is None:
        return None
    found = from_folders(images, labels, "nnU-Net")
    names = _names_of_dataset_json(description) if description.is_file() else None
    return FoundFiles(found.layout, found.pairs, found.problems, names)


def masks_per_image(folder: Path) -> FoundFiles | None:
    """Find a folder per image, with ``images/`` and one mask per object in ``masks/``."""
    pairs = []
    for case in _folders(folder):
        images, masks = _subfolder(case, IMAGE_FOLDERS), _subfolder(case, ("masks",))
        if images is None or masks is None:
            return None
        files = image_files(images)
        if len(files) != 1:
            return None
        pairs.append((files[0], tuple(image_files(masks))))
    return FoundFiles("masks per image", tuple(pairs)) if pairs else None


def suffixes(folder: Path) -> FoundFiles | None:
    """Find images beside their label files, which have a suffix such as ``_mask``."""
    files = [file for place in (folder, *_folders(folder)) for file in _files(place)]
    labels = [file for file in files if image_of_label(file)]
    if not labels:
        return None
    pairs: list[LabeledFile] = []
    problems: list[str] = []
    for place in {file.parent: None for file in files}:
        here = [file for file in files if file.parent == place]
        marked = [file for file in here if file in set(labels)]
        images = [file for file in here if file not in set(labels)]
        found, missing = pair_by_name(images, marked, place)
        pairs, problems = [*pairs, *found], [*problems, *missing]
    return FoundFiles("suffixes", tuple(pairs), tuple(problems)) if pairs else None


LAYOUTS: dict[str, Callable[[Path], FoundFiles | None]] = {
    "nnunet": nnunet,
    "folders": two_folders,
    "masks-per-image": masks_per_image,
    "suffixes": suffixes,
}
"""The layouts by name, in the order in which a folder is compared with them."""


def find_files(folder: Path, layout: str | None = None) -> FoundFiles:
    """Return the labeled images of a folder.

    Parameters
    ----------
    folder
        Folder of a data set.
    layout
        Name of its layout, one of `LAYOUTS`; None finds out.

    Raises
    ------
    ImageFileError
        If the folder has no such layout, or nothing is labeled in it.
    """
    if not folder.is_dir():
        raise ImageFileError(f"{folder} is not a folder; check the path.")
    if layout is not None and layout not in LAYOUTS:
        raise ImageFileError(f"{layout!r} is no layout; choose {', '.join(LAYOUTS)}.")
    for name in LAYOUTS if layout is None else (layout,):
        found = LAYOUTS[name](folder)
        if found is not None and (found.pairs or found.problems):
            return found
    raise ImageFileError(
        f"{folder} is no data set in a layout that is known ({', '.join(LAYOUTS)}): expected are "
        f"images/ and labels/ (or masks/) with files of the same names, or label files with a "
        f"suffix such as _mask. Name two folders with --images and --labels otherwise."
    )


def _subfolder(folder: Path, names: Iterable[str]) -> Path | None:
    """Return the first of some folders that exists, whatever the case of its letters."""
    present = {path.name.lower(): path for path in _folders(folder)}
    return next((present[name] for name in names if name in present), None)


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")


def _files(folder: Path) -> list[Path]:
    try:
        return image_files(folder)
    except ImageFileError:  # no files in it
        return []


def _names_of_dataset_json(path: Path) -> tuple[str, ...] | None:
    """Return class names in order; None if the file numbers them in another way."""
    try:
        labels: Any = json.loads(path.read_text(encoding="utf-8"))["labels"]
        pairs = [
            (int(name), str(number)) if str(name).isdecimal() else (int(number), str(name))
            for name, number in labels.items()
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    names = {number: name for number, name in pairs if number > 0}
    if sorted(names) != list(range(1, len(names) + 1)):
        return None
    return tuple(names[number] for number in sorted(names))
