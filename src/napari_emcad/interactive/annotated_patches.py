"""Annotated images, read patch by patch.

A patch is an annotated slice, or a square with annotations of a large slice. Only patches are read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.annotation.label_rules import UNLABELED, LabelRule, target_of
from napari_emcad.imaging.read_plane import read_plane

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_emcad.annotation.record import Record
    from napari_emcad.imaging.slices import Index, Slices

    Range = tuple[int, int]

PATCH_SIZE = 1024
"""Side in pixels of the patches of a slice that is longer than two of them."""


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedImage:
    """An image and one annotation of it.

    Attributes
    ----------
    key
        Identifies the annotation while the program runs.
    name
        Name of the image, for messages.
    slices
        The whole image.
    labels
        Values of the annotation, of the image's spatial shape or of a part of it; only read.
    rule
        Classes of the values.
    corner
        First pixel of `labels` in the image along its spatial axes; () is the image's corner.
    image
        Identifies the image, which may have several annotations; None stands for `key`.
    patch_size
        Side in pixels of the patches of a slice that is longer than two of them.
    revision
        Number that grows when the image's pixels may have changed.
    copied
        Values of `labels` that were copied from a prediction, 0 elsewhere: a plane (rows first) by
        index of the slice.
    """

    key: Hashable
    name: str
    slices: Slices
    labels: Any
    rule: LabelRule
    corner: tuple[int, ...] = ()
    image: Hashable = None
    patch_size: int = PATCH_SIZE
    revision: int = 0
    copied: Mapping[Index, NDArray[Any]] = field(default_factory=dict)

    @property
    def corner_by_axis(self) -> dict[str, int]:
        """`corner` by axis letter."""
        axes = self.slices.spatial_axes
        return dict(zip(axes, self.corner or (0,) * len(axes), strict=True))


@dataclass(frozen=True, slots=True)
class PatchKey:
    """Position of a patch: annotation, slice, rows and columns.

    Attributes
    ----------
    source, name, image
        `key`, `name` and `image` of the `AnnotatedImage`. Keys are compared by `source` alone,
        because names change.
    index
        Index of the slice along the stacked axes.
    rows, columns
        Half-open ranges of pixels in the slice.
    """

    source: Hashable
    name: str = field(compare=False)
    index: Index
    rows: Range
    columns: Range
    image: Hashable = field(default=None, compare=False)

    @property
    def location(self) -> Hashable:
        """Position in the image; equal for patches of all annotations of the image."""
        image = self.source if self.image is None else self.image
        return image, self.index, self.rows, self.columns

    def __str__(self) -> str:
        return f"{self.name} {list(self.index)}" if self.index else self.name


def scan_annotations(images: Sequence[AnnotatedImage], record: Record, classes: int) -> Record:
    """Return the record updated with the present annotations of images.

    Parameters
    ----------
    images
        All annotated images.
    record
        Record of the scan before.
    classes
        Number of classes without the background.

    Raises
    ------
    LabelValueError
        If an annotated value stands for no class.
    """
    targets, copied = read_targets(images, classes), _copied_pixels(images)
    mask_sources = {image.key for image in images if image.rule.meaning != "scribbles"}
    masks = {key for key in targets if key.source in mask_sources}
    locations = {key: key.location for key in targets}
    return record.updated(targets, masks, locations=locations, copied=copied)


def read_targets(
    images: Iterable[AnnotatedImage], classes: int
) -> dict[PatchKey, NDArray[np.int16]]:
    """Return the target of each annotated patch, ``(H, W)``.

    Parameters
    ----------
    images
        Annotated images.
    classes
        Number of classes without the background.

    Raises
    ------
    LabelValueError
        If an annotated value stands for no class.
    """
    targets = {}
    for image in images:
        for index, labels, corner in _label_planes(image):
            for key, part in _patches(image, index, labels.shape, corner):
                values = labels[part]
                if values.any():
                    target = target_of(values, image.rule, classes)
                    targets[key] = _padded_to_patch(key, image, target, UNLABELED)
    return targets


def stroke_count(record: Record, source: Hashable) -> int:
    """Return the number of strokes of all classes in one annotation, by its key."""
    keys = {key for key in record.patches if isinstance(key, PatchKey) and key.source == source}
    return sum(record.subset(keys).stroke_counts.values())


def _copied_pixels(images: Iterable[AnnotatedImage]) -> dict[PatchKey, NDArray[np.bool_]]:
    """Return the pixels of patches, ``(H, W)``, that still have the value that was copied."""
    pixels = {}
    for image in images:
        for at in image.copied:
            for index, labels, corner in _label_planes(image, at):
                values = image.copied[index]
                for key, part in _patches(image, index, labels.shape, corner):
                    same = (values[part] != 0) & (values[part] == labels[part])
                    if same.any():
                        pixels[key] = _padded_to_patch(key, image, same, False)
    return pixels


def read_window(
    image: AnnotatedImage, index: Index, rows: Range, columns: Range, classes: int
) -> NDArray[np.int16]:
    """Return the target of a window of one slice, ``(rows, columns)``.

    Parameters
    ----------
    image
        Annotated image.
    index
        Index of the slice along the stacked axes.
    rows, columns
        Half-open ranges of the window.
    classes
        Number of classes without the background.

    Raises
    ------
    LabelValueError
        If an annotated value stands for no class.
    """
    window = np.full((rows[1] - rows[0], columns[1] - columns[0]), UNLABELED, np.int16)
    for _, labels, corner in _label_planes(image, index):
        overlaps = [
            (max(first, start), min(last, start + size))
            for (first, last), start, size in zip(
                (rows, columns), corner, labels.shape, strict=True
            )
        ]
        if all(first < last for first, last in overlaps):
            in_window = tuple(
                slice(a - first, b - first)
                for (a, b), (first, _) in zip(overlaps, (rows, columns), strict=True)
            )
            in_labels = tuple(
                slice(a - start, b - start) for (a, b), start in zip(overlaps, corner, strict=True)
            )
            window[in_window] = target_of(labels[in_labels], image.rule, classes)
    return window


def _label_planes(
    image: AnnotatedImage, only: Index | None = None
) -> Iterator[tuple[Index, NDArray[Any], tuple[int, int]]]:
    """Yield index, label plane (rows first) and corner (row, column) of slices with labels.

    Only the slice `only` is read if it is given: labels may be on a disk.
    """
    axes, corner = image.slices.spatial_axes, image.corner_by_axis
    stacked = [axis for axis in axes if axis not in "YX"]
    sizes = [image.labels.shape[axes.index(axis)] for axis in stacked]
    for position in product(*map(range, sizes)):
        by_axis = dict(zip(stacked, position, strict=True))
        index = tuple(by_axis[axis] + corner[axis] for axis in stacked)
        if only is not None and index != only:
            continue
        where = tuple(by_axis.get(axis, slice(None)) for axis in axes)
        plane = read_plane(image.labels, where, axes)
        yield index, plane.T if image.slices.transposed else plane, (corner["Y"], corner["X"])


def _patches(
    image: AnnotatedImage, index: Index, shape: tuple[int, ...], corner: tuple[int, int]
) -> Iterator[tuple[PatchKey, tuple[slice, slice]]]:
    """Yield the patches of a slice that a label plane overlaps, with the overlap in the plane."""
    sides = image.slices.height, image.slices.width
    for rows, columns in product(*(_ranges(side, image.patch_size) for side in sides)):
        overlap = [
            (max(first - start, 0), min(last - start, size))
            for (first, last), start, size in zip((rows, columns), corner, shape, strict=True)
        ]
        if all(first < last for first, last in overlap):
            key = PatchKey(image.key, image.name, index, rows, columns, image.image)
            yield key, (slice(*overlap[0]), slice(*overlap[1]))


def _ranges(side: int, size: int) -> list[Range]:
    """Return the ranges of patches along a side: one, unless it is longer than two patches."""
    if side <= 2 * size:
        return [(0, side)]
    return [(start, min(start + size, side)) for start in range(0, side, size)]


def _padded_to_patch(
    key: PatchKey, image: AnnotatedImage, target: NDArray[Any], fill: int
) -> NDArray[Any]:
    """Return values of a whole patch from those of the part that the labels cover."""
    shape = key.rows[1] - key.rows[0], key.columns[1] - key.columns[0]
    if target.shape == shape:
        return target
    padded = np.full(shape, fill, target.dtype)
    corner = image.corner_by_axis
    top, left = max(corner["Y"] - key.rows[0], 0), max(corner["X"] - key.columns[0], 0)
    padded[top : top + target.shape[0], left : left + target.shape[1]] = target
    return padded
