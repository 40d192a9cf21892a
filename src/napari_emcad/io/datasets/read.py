"""A folder of images and labels as labeled slices, for training and validation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.annotation.label_rules import BACKGROUND, UNLABELED
from napari_emcad.annotation.mask_values import MaskValues, has_void, mask_values
from napari_emcad.imaging.arrays import array_digest
from napari_emcad.imaging.exposure import range_mismatch
from napari_emcad.imaging.ranges import training_planes
from napari_emcad.imaging.slices import Slices, as_slices
from napari_emcad.io.datasets.channel_files import check_chosen, read_channels
from napari_emcad.io.datasets.found_files import as_found
from napari_emcad.io.datasets.label_files import ReadLabels, read_label_files
from napari_emcad.io.datasets.notes import NO_NOTE, FileNote, file_note
from napari_emcad.io.datasets.palettes import check_palettes
from napari_emcad.io.datasets.target import class_target
from napari_emcad.training.samples import LabeledSlice, resized_slice

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.io.datasets.found_files import FoundFiles, LabeledFile
    from napari_emcad.io.datasets.label_coding import LabelCoding
    from napari_emcad.io.images.opened_image import OpenedImage
    from napari_emcad.io.images.read_options import ReadOptions

SKIP_ADVICE = "Fix it, or leave it out with --skip-bad."
"""What to do about a file that cannot be used."""


class DatasetError(ValueError):
    """A folder cannot be trained on; the message says why and what to do."""


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """The labeled slices of a folder.

    Attributes
    ----------
    slices
        All slices of all images, with their targets.
    skipped
        A message for every file that was left out.
    mask_values
        Values and connected components of the labels of every image.
    range_notices
        A message for every image that lies outside of the range that the model expects.
    image_notes, label_notes
        A message for every image that, or whose labels, were read in an unusual way.
    ignored_values
        Values that the labels have and the coding ignores.
    """

    slices: tuple[LabeledSlice, ...]
    skipped: tuple[str, ...] = ()
    mask_values: tuple[MaskValues, ...] = ()
    range_notices: tuple[str, ...] = ()
    image_notes: tuple[FileNote, ...] = ()
    label_notes: tuple[FileNote, ...] = ()
    ignored_values: frozenset[int] = frozenset()

    @property
    def classes(self) -> int:
        """Largest value of the labels, the number of classes without the background."""
        return max((value for image in self.mask_values for value in image.values), default=0)

    @property
    def images_with_ignored(self) -> int:
        """Number of images some of whose pixels are ignored, because of labels below 0 or void."""
        marked = (part for part in self.slices if (part.target == UNLABELED).any())
        return len({part.image for part in marked})


def read_dataset(
    files: FoundFiles | Sequence[LabeledFile],
    inputs: int,
    preprocessing: Preprocessing,
    classes: int | None,
    foreground: bool = False,
    skip_bad: bool = False,
    axes: str | None = None,
    channels: Sequence[int | None] | None = None,
    options: ReadOptions | None = None,
) -> Dataset:
    """Read images and labels.

    Parameters
    ----------
    files
        Image files with their label files, see `napari_emcad.io.datasets.layouts.find_files`.
    inputs
        Number of input channels of the network.
    preprocessing
        Normalization of intensities; a fixed size resizes images and labels.
    classes
        Number of classes without the background; None takes as many as the labels have.
    foreground
        Whether all labels above 0 are class 1.
    skip_bad
        Whether pairs that cannot be used are left out with a message instead of an error.
    axes
        Axes of the images, a letter per axis, if not those in the files.
    channels
        Image channel for each input of the network, None for an empty one.
    options
        Choices where files can be read in several ways.

    Raises
    ------
    DatasetError
        If a pair cannot be used, none is left, or all labels are empty.
    ImageFileError
        If palettes number colors differently.
    """
    found = as_found(files)
    check_palettes(found)
    read: list[_ReadPair] = []
    skipped: list[str] = []
    for image, labels in found.pairs:
        try:
            opened = read_channels(found.channel_files(image), options)
            layout_axes = axes or found.axes.get(np.ndim(opened.pixels)) or opened.axes
            remark = opened.remark(layout_axes)
            stack = as_slices(opened.pixels, inputs, layout_axes, channels)
            check_chosen(found.channel_files(image), stack)
            given = _read_matching_labels(opened, image, labels, stack, options, found.coding)
            target = class_target(given.pixels, classes, foreground)
            pair = _labeled(found, image, stack, given, target, preprocessing)
            names = (found.name_of(image), image.name, *(path.name for path in labels))
            image_note, label_note = (file_note(*names, text=n) for n in (remark, given.note))
            read.append(replace(pair, image_note=image_note, label_note=label_note))
        except (ValueError, TypeError) as error:
            message = str(error) if image.name in str(error) else f"{found.name_of(image)}: {error}"
            if not skip_bad:
                raise DatasetError(f"{message} {SKIP_ADVICE}") from None
            skipped.append(message)
    if not read:
        raise DatasetError(
            f"No image of the folder can be used. {skipped[0]}" if skipped else "It is empty."
        )
    if any(has_void(pair.label_values, classes) for pair in read):
        read = [pair.with_255_ignored() for pair in read]
    dataset = _as_dataset(read, skipped)
    if not dataset.classes:
        raise DatasetError("All label files are empty: there is nothing to learn or to score.")
    return dataset


@dataclass(frozen=True, slots=True, eq=False)
class _ReadPair:
    """An image with its labels.

    Attributes
    ----------
    slices
        Its slices with their targets.
    mask_values
        Values and connected components of the target.
    label_values
        Values above 0 of the label file.
    range_notice
        Remark on the range of the image, or "".
    image_note, label_note
        Remarks on how the image and its labels were read.
    ignored
        Values that the coding ignores.
    """

    slices: tuple[LabeledSlice, ...]
    mask_values: MaskValues
    label_values: frozenset[int]
    range_notice: str
    ignored: frozenset[int]
    image_note: FileNote = NO_NOTE
    label_note: FileNote = NO_NOTE

    def with_255_ignored(self) -> _ReadPair:
        """Return the pair of a data set in which 255 is void, also in a mask of 0 and 255."""
        if self.label_values != {BACKGROUND}:
            return self
        parts = (
            replace(part, target=np.where(part.target == 1, UNLABELED, part.target))
            for part in self.slices
        )
        return replace(self, slices=tuple(parts), mask_values=MaskValues((), 0))


def _as_dataset(read: Sequence[_ReadPair], skipped: Sequence[str]) -> Dataset:
    return Dataset(
        tuple(part for pair in read for part in pair.slices),
        tuple(skipped),
        tuple(pair.mask_values for pair in read),
        tuple(pair.range_notice for pair in read if pair.range_notice),
        tuple(pair.image_note for pair in read if pair.image_note.text),
        tuple(pair.label_note for pair in read if pair.label_note.text),
        frozenset().union(*(pair.ignored for pair in read)),
    )


def _labeled(
    found: FoundFiles,
    image: Path,
    stack: Slices,
    labels: ReadLabels,
    target: NDArray[np.int16],
    preprocessing: Preprocessing,
) -> _ReadPair:
    mismatch = range_mismatch(stack, preprocessing)
    name, case = found.name_of(image), found.case_of(image)
    return _ReadPair(
        tuple(labeled_slices_of(name, stack, target, preprocessing, case)),
        mask_values(target),
        frozenset(value for value in np.unique(labels.pixels).tolist() if value > 0),
        f"{name}: {mismatch}" if mismatch else "",
        labels.ignored,
    )


def _read_matching_labels(
    opened: OpenedImage,
    image: Path,
    labels: Sequence[Path],
    slices: Slices,
    options: ReadOptions | None,
    coding: LabelCoding,
) -> ReadLabels:
    read = read_label_files(labels, slices.spatial_shape, opened, options, coding, image)
    if read.pixels.shape != slices.spatial_shape:
        raise DatasetError(
            f"{image.name} has {slices.spatial_shape} pixels, its labels {read.pixels.shape}; "
            f"they must agree."
        )
    return read


def _plain(planes: NDArray[Any]) -> NDArray[np.float32]:
    """Return planes in a form in which copies in other formats are equal: float32, gray once."""
    is_gray = all(np.array_equal(planes[0], plane) for plane in planes[1:])
    return np.asarray(planes[:1] if is_gray else planes, np.float32)


def labeled_slices_of(
    image: str,
    slices: Slices,
    target: NDArray[np.int16],
    preprocessing: Preprocessing,
    case: str = "",
) -> Iterator[LabeledSlice]:
    """Yield the slices of an image with their targets.

    Parameters
    ----------
    image
        Name of the image.
    slices
        The image.
    target
        Class of each pixel, of the image's spatial shape.
    preprocessing
        Normalization of intensities; a fixed size resizes slices and targets.
    case
        Name of the volume that the image is a part of; "" if it is one of its own.
    """
    several = len(slices.indices) > 1
    for number, index in enumerate(slices.indices):
        name = f"{image} [{number}]" if several else image
        planes = training_planes(slices, index, preprocessing)
        part = target[slices.where(index, (0, slices.height), (0, slices.width))]
        part = part.T if slices.transposed else part
        digest = array_digest(_plain(slices.read(index)))
        labeled = LabeledSlice(name, planes, part, image=case or image, digest=digest)
        yield resized_slice(labeled, preprocessing.size)
