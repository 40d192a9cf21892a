"""A folder of images and labels, as labelled slices to train on or to be judged by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.imaging.intensity import normalised, value_range
from napari_emcad.imaging.paint import mask_as_class
from napari_emcad.imaging.slices import Slices, as_slices
from napari_emcad.io.images import ImageFileError, paired, read_image, read_labels
from napari_emcad.training.samples import LabelledSlice

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.imaging.intensity import Preprocessing

    Pair = tuple[Path, Path]

_IMAGE_FOLDERS, _LABEL_FOLDERS = ("images",), ("labels", "masks")
_CLASS_FILES = ("classes.yaml", "classes.yml")
_MOST_CLASSES = 64
"""More values than this are objects that were counted, not classes."""


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
    """

    slices: tuple[LabelledSlice, ...]
    skipped: tuple[str, ...] = ()


def dataset_pairs(folder: Path) -> list[Pair]:
    """Return the image and label files of a folder with ``images/`` and ``labels/`` or ``masks/``.

    Raises
    ------
    DatasetError
        If the folders are not there, or an image has no label file.
    """
    images, labels = _inner(folder, _IMAGE_FOLDERS), _inner(folder, _LABEL_FOLDERS)
    try:
        return paired(images, labels)
    except ImageFileError as error:
        raise DatasetError(str(error)) from None


def class_names(folder: Path) -> tuple[str, ...] | None:
    """Return the names of classes 1, 2, … that a folder's ``classes.yaml`` lists; None without one.

    Raises
    ------
    DatasetError
        If the file is not a list of names.
    """
    import yaml

    found = [folder / name for name in _CLASS_FILES if (folder / name).is_file()]
    if not found:
        return None
    try:
        content = yaml.safe_load(found[0].read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError):
        content = None
    names = content.get("classes") if isinstance(content, dict) else content
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names) or not names:
        raise DatasetError(f"{found[0]} must list the classes' names: 'classes: [cell, wall]'.")
    return tuple(names)


def count_classes(pairs: Sequence[Pair]) -> int:
    """Return how many classes the label files have, without the background.

    Raises
    ------
    DatasetError
        If their values look like counted objects, or there is none at all.
    """
    largest = 0
    for _, path in pairs:
        largest = max(largest, int(mask_as_class(read_labels(path)).max(initial=0)))
        if largest > _MOST_CLASSES:
            raise DatasetError(
                f"{path.name} has labels up to {largest}: single objects, it seems. Take them all "
                f"as one class with --foreground."
            )
    if not largest:
        raise DatasetError("All label files are empty: there is nothing to learn.")
    return largest


def read_dataset(
    pairs: Sequence[Pair],
    inputs: int,
    preprocessing: Preprocessing,
    classes: int,
    foreground: bool = False,
    skip_bad: bool = False,
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
        How many, without the background.
    foreground
        Whether every label above 0 is class 1.
    skip_bad
        Whether pairs that cannot be used are left out and named; else they are refused.

    Raises
    ------
    DatasetError
        If a pair cannot be used, or none is left.
    """
    slices: list[LabelledSlice] = []
    skipped: list[str] = []
    for image, labels in pairs:
        try:
            slices += _slices(image, labels, inputs, preprocessing, classes, foreground)
        except (ValueError, TypeError) as error:
            said = str(error) if image.name in str(error) else f"{image.name}: {error}"
            if not skip_bad:
                raise DatasetError(f"{said} Mend it, or leave it out with --skip-bad.") from None
            skipped.append(said)
    if not slices:
        raise DatasetError("No image of the folder can be used." if skipped else "It is empty.")
    return Dataset(tuple(slices), tuple(skipped))


def _inner(folder: Path, names: tuple[str, ...]) -> Path:
    found = [folder / name for name in names if (folder / name).is_dir()]
    if not found:
        raise DatasetError(
            f"{folder} has no folder {' or '.join(names)} in it; expected are images/ and labels/ "
            f"(or masks/) with files of the same names."
        )
    return found[0]


def _slices(
    image: Path,
    labels: Path,
    inputs: int,
    preprocessing: Preprocessing,
    classes: int,
    foreground: bool,
) -> Iterator[LabelledSlice]:
    opened, truth = read_image(image), read_labels(labels)
    slices = as_slices(opened.pixels, inputs, opened.axes)
    if truth.shape != slices.spatial_shape:
        raise DatasetError(
            f"{image.name} has {slices.spatial_shape} pixels, its labels {truth.shape}; "
            f"they must agree."
        )
    target = _target(truth, classes, foreground)
    several = len(slices.indices) > 1
    for number, index in enumerate(slices.indices):
        name = f"{image.name} [{number}]" if several else image.name
        planes = _planes(slices, slices.read(index), preprocessing)
        part = target[slices.where(index, (0, slices.height), (0, slices.width))]
        turned = part.T if slices.transposed else part
        labelled = LabelledSlice(name, planes, turned, image=image.name)
        yield _sized(labelled, preprocessing)


def _planes(slices: Slices, raw: NDArray[Any], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Return normalised planes; a single one stays single, it feeds all inputs."""
    planes = normalised(raw, value_range(raw, preprocessing), preprocessing)
    return planes if len(planes) == 1 else slices.planes_to_inputs(planes)


def _target(truth: NDArray[Any], classes: int, foreground: bool) -> NDArray[np.int16]:
    if foreground:
        mask: NDArray[Any] = truth != 0
        return mask.astype(np.int16)
    values = mask_as_class(truth)
    if values.min(initial=0) < 0 or values.max(initial=0) > classes:
        raise DatasetError(
            f"the labels hold {int(values.max())}, the classes are 1 to {classes}. If they count "
            f"single objects, take them all as one class with --foreground."
        )
    return values.astype(np.int16)


def _sized(source: LabelledSlice, preprocessing: Preprocessing) -> LabelledSlice:
    """Return a slice at the size that the checkpoint resizes to, if it does."""
    if preprocessing.size is None:
        return source
    from skimage.transform import resize

    size = preprocessing.size
    planes = np.stack([resize(plane, size, order=1, anti_aliasing=True) for plane in source.planes])
    target = resize(source.target, size, order=0, preserve_range=True, anti_aliasing=False)
    return replace(source, planes=planes.astype(np.float32), target=target.astype(np.int16))
