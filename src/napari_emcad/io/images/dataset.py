"""A folder of images and labels, as labeled slices to train on or to be judged by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.annotation.label_rules import (
    MOST_CLASSES,
    Parts,
    mask_as_class,
    parts,
    refuse_negative,
)
from napari_emcad.imaging.intensity import normalized, value_range
from napari_emcad.imaging.slices import Slices, as_slices
from napari_emcad.io.images.opened import ImageFileError
from napari_emcad.io.images.read_write import match_files, read_image, read_labels
from napari_emcad.training.samples import LabeledSlice, resized_slice

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.imaging.intensity import Preprocessing

    Pair = tuple[Path, Path]

_IMAGE_FOLDERS, _LABEL_FOLDERS = ("images",), ("labels", "masks")

SKIP_ADVICE = "Mend it, or leave it out with --skip-bad."
"""What to do about a file that cannot be used."""


class DatasetError(ValueError):
    """A folder cannot be trained on; one sentence says why and what to do."""


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """What a folder holds.

    Attributes
    ----------
    slices
        Every slice of every image, with its target.
    skipped
        A sentence for each file that was left out.
    parts
        What the labels of each image consist of.
    """

    slices: tuple[LabeledSlice, ...]
    skipped: tuple[str, ...] = ()
    parts: tuple[Parts, ...] = ()

    @property
    def classes(self) -> int:
        """The largest value of the labels: how many classes they have without the background."""
        return max((value for each in self.parts for value in each.values), default=0)


def dataset_folders(folder: Path) -> tuple[Path, Path]:
    """Return where a folder has its images and its labels: ``labels/`` or ``masks/``.

    Raises
    ------
    DatasetError
        If they are not there.
    """
    return _inner(folder, _IMAGE_FOLDERS), _inner(folder, _LABEL_FOLDERS)


def dataset_files(folder: Path) -> tuple[list[Pair], list[str]]:
    """Return a folder's image and label files, and a sentence for each image that has none.

    Raises
    ------
    DatasetError
        If the folders are not there or empty.
    """
    try:
        return match_files(*dataset_folders(folder))
    except ImageFileError as error:
        raise DatasetError(str(error)) from None


def dataset_pairs(folder: Path) -> list[Pair]:
    """Return the image and label files of a folder with ``images/`` and ``labels/`` or ``masks/``.

    Raises
    ------
    DatasetError
        If the folders are not there, or an image has no label file.
    """
    pairs, problems = dataset_files(folder)
    if problems:
        raise DatasetError(problems[0])
    return pairs


def read_dataset(
    pairs: Sequence[Pair],
    inputs: int,
    preprocessing: Preprocessing,
    classes: int | None,
    foreground: bool = False,
    skip_bad: bool = False,
    axes: str | None = None,
    channels: Sequence[int | None] | None = None,
) -> Dataset:
    """Read images and labels.

    Parameters
    ----------
    pairs
        From `dataset_pairs`.
    inputs
        Of the network.
    preprocessing
        Intensities are prepared as it says; a fixed size resizes images and labels.
    classes
        How many, without the background; None takes as many as the labels have.
    foreground
        Whether every label above 0 is class 1.
    skip_bad
        Whether pairs that cannot be used are left out and named; else they are refused.
    axes
        Of the images, a letter per axis, where the files do not say them rightly.
    channels
        For each input of the network the image's channel, None for an empty one.

    Raises
    ------
    DatasetError
        If a pair cannot be used, none is left, or all labels are empty.
    """
    slices: list[LabeledSlice] = []
    found: list[Parts] = []
    skipped: list[str] = []
    for image, labels in pairs:
        try:
            opened = read_image(image)
            stack = as_slices(opened.pixels, inputs, axes or opened.axes, channels)
            target = _target(_truth(image, labels, stack), classes, foreground)
            fresh = tuple(_slices(image.name, stack, target, preprocessing))
        except (ValueError, TypeError) as error:
            said = str(error) if image.name in str(error) else f"{image.name}: {error}"
            if not skip_bad:
                raise DatasetError(f"{said} {SKIP_ADVICE}") from None
            skipped.append(said)
        else:
            slices += fresh
            found.append(parts(target))
    if not slices:
        why = f"No image of the folder can be used. {skipped[0]}" if skipped else "It is empty."
        raise DatasetError(why)
    data = Dataset(tuple(slices), tuple(skipped), tuple(found))
    if not data.classes:
        raise DatasetError("All label files are empty: there is nothing to learn or to judge by.")
    return data


def _inner(folder: Path, names: tuple[str, ...]) -> Path:
    found = [folder / name for name in names if (folder / name).is_dir()]
    if not found:
        raise DatasetError(
            f"{folder} has no folder {' or '.join(names)} in it; expected are images/ and labels/ "
            f"(or masks/) with files of the same names."
        )
    return found[0]


def _truth(image: Path, labels: Path, slices: Slices) -> NDArray[Any]:
    truth = read_labels(labels, slices.spatial_shape)
    if truth.shape != slices.spatial_shape:
        raise DatasetError(
            f"{image.name} has {slices.spatial_shape} pixels, its labels {truth.shape}; "
            f"they must agree."
        )
    return truth


def _slices(
    image: str, slices: Slices, target: NDArray[np.int16], preprocessing: Preprocessing
) -> Iterator[LabeledSlice]:
    several = len(slices.indices) > 1
    for number, index in enumerate(slices.indices):
        name = f"{image} [{number}]" if several else image
        planes = _planes(slices, slices.read(index), preprocessing)
        part = target[slices.where(index, (0, slices.height), (0, slices.width))]
        turned = part.T if slices.transposed else part
        labeled = LabeledSlice(name, planes, turned, image=image)
        yield resized_slice(labeled, preprocessing.size)


def _planes(slices: Slices, raw: NDArray[Any], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Return normalized planes; one that feeds all inputs stays single."""
    planes = normalized(raw, value_range(raw, preprocessing), preprocessing)
    feeds_all = set(slices.channels.inputs) == {0}
    return planes if feeds_all else slices.planes_to_inputs(planes)


def _target(truth: NDArray[Any], classes: int | None, foreground: bool) -> NDArray[np.int16]:
    if foreground:
        refuse_negative(truth)
        mask: NDArray[Any] = truth != 0
        return mask.astype(np.int16)
    values = mask_as_class(truth)
    refuse_negative(values)
    largest = int(values.max(initial=0))
    if largest > MOST_CLASSES:
        raise DatasetError(
            f"the labels go up to {largest}: single objects, it seems. Take them all as one class "
            f"with --foreground."
        )
    if classes is not None and largest > classes:
        raise DatasetError(
            f"the labels hold {largest}, the classes are 1 to {classes}. If that is a class, list "
            f"it in classes.yaml beside the images to train on; if they count single objects, take "
            f"them all as one class with --foreground."
        )
    return values.astype(np.int16)
