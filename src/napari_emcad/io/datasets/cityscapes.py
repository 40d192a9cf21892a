"""The layout of Cityscapes: ``leftImg8bit/`` and ``gtFine/`` with a folder per city."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.io.datasets.found_files import FoundFiles
from napari_emcad.io.datasets.label_coding import LabelCoding
from napari_emcad.io.datasets.pairing import folder_images, subfolder, subfolders
from napari_emcad.io.datasets.splits import with_splits_by_folder
from napari_emcad.io.images.labels import read_labels

if TYPE_CHECKING:
    from pathlib import Path

    from napari_emcad.io.datasets.found_files import LabeledFile

_CLASSES = {
    7: "road",
    8: "sidewalk",
    11: "building",
    12: "wall",
    13: "fence",
    17: "pole",
    19: "traffic light",
    20: "traffic sign",
    21: "vegetation",
    22: "terrain",
    23: "sky",
    24: "person",
    25: "rider",
    26: "car",
    27: "truck",
    28: "bus",
    31: "train",
    32: "motorcycle",
    33: "bicycle",
}
"""Numbers in the files of the 19 classes that are scored; all others are ignored."""

_MOST = 33
_CODES = tuple((number, k) for k, number in enumerate(_CLASSES, start=1))
_VOID = tuple((number, UNLABELED) for number in (*range(_MOST), 255) if number not in _CLASSES)

_IMAGE, _LABELS = "_leftImg8bit", ("_gtFine_labelIds", "_gtCoarse_labelIds")


def cityscapes(folder: Path) -> FoundFiles | None:
    """Find ``leftImg8bit/train/CITY/NAME_leftImg8bit.png`` with ``gtFine/…/NAME_gtFine_labelIds``.

    The 19 classes that are scored are 1 to 19; there is no background. A part whose labels are
    withheld, as those of the test images, is left out.
    """
    images = subfolder(folder, ("leftimg8bit",))
    labels = subfolder(folder, ("gtfine",)) or subfolder(folder, ("gtcoarse",))
    if images is None or labels is None:
        return None
    pairs: list[LabeledFile] = []
    problems: list[str] = []
    withheld: list[str] = []
    for part in subfolders(images):
        found = [pair for city in subfolders(part) for pair in _city(city, labels / part.name)]
        if found and not _is_labeled(found):
            withheld.append(part.name)
            continue
        pairs += [(image, mask) for image, mask in found if mask]
        problems += [_no_labels(image, labels) for image, mask in found if not mask]
    notes = [f"The labels of {', '.join(withheld)} are withheld; it is left out."] * bool(withheld)
    found_files = FoundFiles(
        "Cityscapes",
        tuple(pairs),
        tuple(problems),
        tuple(_CLASSES.values()),
        LabelCoding(classes=(*_CODES, *_VOID), known=(*range(1, _MOST + 1), 255)),
        names={image: image.relative_to(folder).as_posix() for image, _ in pairs},
        notes=tuple(notes),
    )
    return with_splits_by_folder(found_files)


def _city(city: Path, labels: Path) -> list[LabeledFile]:
    """Return the images of a city with their label file; without one with none."""
    images = [path for path in folder_images(city) if path.stem.endswith(_IMAGE)]
    return [(image, _labels_of(image, labels / city.name)) for image in images]


def _labels_of(image: Path, folder: Path) -> tuple[Path, ...]:
    name = image.stem.removesuffix(_IMAGE)
    files = (folder / f"{name}{end}.png" for end in _LABELS)
    return tuple(path for path in files if path.is_file())[:1]


def _is_labeled(pairs: list[LabeledFile]) -> bool:
    """Return whether the first label file of a part has a class at all."""
    first = next((labels for _, labels in pairs if labels), ())
    return bool(first) and any((read_labels(first[0]) == number).any() for number in _CLASSES)


def _no_labels(image: Path, labels: Path) -> str:
    name = image.stem.removesuffix(_IMAGE)
    return f"{image.name} has no label file {name}{_LABELS[0]}.png in {labels}; copy it there."
