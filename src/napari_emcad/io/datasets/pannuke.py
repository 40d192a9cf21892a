"""The layout of PanNuke: the patches of a fold in one array, and masks of five kinds of nuclei."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.io.datasets.found_files import FoundFiles
from napari_emcad.io.datasets.label_coding import LabelCoding
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.images.read import read_image

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.io.images.opened_image import OpenedImage
    from napari_emcad.io.images.read_options import ReadOptions

_KINDS = ("neoplastic", "inflammatory", "connective", "dead", "epithelial")
"""Kinds of nuclei in the order of the channels of the masks; the sixth is the background."""

_FILE, _STEP, _DEEPEST = "images.npy", "*/", 4
"""Name of the files of images, and most folders between the data set and one of them."""

_AGREE = 0.99
"""Least share of pixels in which the sixth channel is what the five others leave."""


def pannuke(folder: Path) -> FoundFiles | None:
    """Find ``Fold 1/images/fold1/images.npy`` with ``Fold 1/masks/fold1/masks.npy``.

    All patches of a fold stay together. Pixels with nuclei of several kinds are ignored.

    Raises
    ------
    ImageFileError
        If a fold has no masks.
    """
    images = [path for depth in range(_DEEPEST + 1) for path in folder.glob(_STEP * depth + _FILE)]
    masks = {image: _masks_of(image, folder) for image in sorted(images)}
    present = [path for path in masks.values() if path.is_file()]
    if not present or _shape(present[0])[-1:] != (len(_KINDS) + 1,):
        return None
    if missing := [image for image, path in masks.items() if path not in present]:
        raise ImageFileError(f"{missing[0]} has no {masks[missing[0]]}; copy it there.")
    pairs = [(image, (path,)) for image, path in masks.items()]
    names = {image: image.relative_to(folder).as_posix() for image in masks}
    count = sum(_shape(image)[0] for image, _ in pairs)
    folds = f"{len(pairs):,} fold{'s' * (len(pairs) > 1)}"
    return FoundFiles(
        "PanNuke",
        tuple(pairs),
        class_names=_KINDS,
        coding=LabelCoding(compose=_compose),
        names=names,
        axes={4: "TYXC"},
        summary=f"{folds}, {count:,} patches, {len(_KINDS) + 1} classes",
    )


def _masks_of(image: Path, folder: Path) -> Path:
    """Return the file of the masks, whose folders are those of the images but for the one word."""
    places = image.relative_to(folder).parts[:-1]
    return folder.joinpath(*("masks" if p == "images" else p for p in places), "masks.npy")


def _shape(path: Path) -> tuple[int, ...]:
    return tuple(read_image(path).pixels.shape)


def _compose(
    image: OpenedImage,
    files: tuple[Path, ...],
    shape: tuple[int, ...],
    options: ReadOptions | None,
) -> tuple[NDArray[Any], str]:
    """Return the kind of nucleus of every pixel, from a channel per kind with numbered nuclei.

    The background is not numbered, which shows the order of the channels.
    """
    masks = read_image(files[0]).pixels
    if masks.shape != (*shape, len(_KINDS) + 1):
        raise ImageFileError(
            f"{files[0]} has the shape {masks.shape}; for patches of {shape} pixels it is "
            f"{(*shape, len(_KINDS) + 1)}."
        )
    labels = np.zeros(shape, np.int16)
    shared = agreeing = 0
    is_numbered = False
    for number, patch in enumerate(masks):
        marked = np.asarray(patch)[..., : len(_KINDS)] > 0
        kinds = marked.sum(axis=-1)
        labels[number] = np.where(kinds == 1, marked.argmax(axis=-1) + 1, 0)
        labels[number][kinds > 1] = UNLABELED
        shared += int((kinds > 1).sum())
        agreeing += int(((np.asarray(patch)[..., -1] > 0) == (kinds == 0)).sum())
        is_numbered |= bool((np.asarray(patch)[..., -1] > 1).any())
    if is_numbered or agreeing < _AGREE * labels.size:
        raise ImageFileError(
            f"{files[0]} has a sixth channel that is not the background of the five others; "
            f"PanNuke has {', '.join(_KINDS)} and background in this order."
        )
    note = f"{files[0].name} has {shared:,} pixels with nuclei of several kinds; they are ignored."
    return labels, note if shared else ""
