"""Put the parts of an image together to the segmentation that a single process would return."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.imaging.link_objects import LinkSettings, link_axis, link_stack
from napari_emcad.inference.events import Summary
from napari_emcad.inference.postprocess import object_dtype, renumbered
from napari_emcad.io.segment_run import new_array, read_part
from napari_emcad.pipelines.segment import Segmentation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.imaging.parts import Part, Rows
    from napari_emcad.imaging.slices import Slices
    from napari_emcad.io.checkpoints.classes import ClassLabel


@dataclass(frozen=True, slots=True, eq=False)
class Assembly:
    """The finished parts of an image in a folder.

    Attributes
    ----------
    folder
        Folder of the parts.
    slices
        The image.
    parts
        Parts in their order; every one has a file of labels.
    separate
        Whether labels are objects, which are numbered within their part.
    link
        How objects are linked through the slices; None leaves them as they are.
    """

    folder: Path
    slices: Slices
    parts: Sequence[Part]
    separate: bool = False
    link: LinkSettings | None = None

    def segmentation(
        self, classes: tuple[ClassLabel, ...], notices: Sequence[str], has_labels: bool = True
    ) -> Segmentation:
        """Return the result, whose arrays lie on disk; only some slices are in memory at a time."""
        count = len(self.slices.indices)
        empty: tuple[NDArray[Any], tuple[int, ...]] = np.zeros(0, np.uint8), ()
        labels, objects = self._labels() if has_labels else empty
        summary = Summary("finished", count, count, "", tuple(notices), objects)
        axes = self.slices.spatial_axes
        return Segmentation(labels, self.probabilities(), axes, classes, summary)

    def probabilities(self) -> NDArray[np.float32] | None:
        """Return the probabilities ``(K, …)``, or None if there are none."""
        first = self.folder / f"{self.parts[0].key}.probabilities.npy"
        if not first.exists():
            return None
        shape = (len(read_part(first)), *self.slices.spatial_shape)
        result = new_array(self.folder / "probabilities.npy", shape, np.float32)
        for part in self.parts:
            planes = read_part(self.folder / f"{part.key}.probabilities.npy")
            for number in range(part.first, part.stop):
                block = planes[:, number - part.first]
                where = (slice(None), *self._where(number, part.rows))
                result[where] = block.swapaxes(1, 2) if self.slices.transposed else block
        return result

    def _labels(self) -> tuple[NDArray[Any], tuple[int, ...]]:
        """Return the labels in the image's shape, and the classes of numbered objects."""
        classes = self._object_classes()
        if self.link is not None and len(self.slices.spatial_axes) > 2:
            return self._linked(classes)
        kind = object_dtype(len(classes)) if self.separate else self._part(0).dtype
        result = new_array(self.folder / "labels.npy", self.slices.spatial_shape, kind)
        for number, rows, block in self._blocks():
            self._put(result, number, rows, block.astype(kind))
        return result, tuple(classes)

    def _linked(self, classes: list[int]) -> tuple[NDArray[Any], tuple[int, ...]]:
        """Return labels whose objects have one number through the slices of a stack."""
        assert self.link is not None
        first_numbers, offsets = list[int](), self._offsets()
        shape = self.slices.spatial_shape
        wide = new_array(self.folder / "linked.npy", shape, np.uint32)
        for numbers in self._stacks():
            planes = (self._plane(number, offsets) for number in numbers)
            linked = link_stack(planes, self.link, classes, first_numbers)
            for number, plane in zip(numbers, linked, strict=True):
                self._put(wide, number, None, plane.astype(np.uint32))
        kind = object_dtype(len(first_numbers))
        result = new_array(self.folder / "labels.npy", shape, kind)
        for number in range(len(self.slices.indices)):
            where = self._where(number, None)
            result[where] = wide[where].astype(kind)
        return result, tuple(classes[number - 1] for number in first_numbers)

    def _stacks(self) -> list[list[int]]:
        """Return the numbers of the slices of every stack, in the order of the linked axis."""
        axes = self.slices.spatial_axes
        along = [letter for letter in axes if letter not in "YX"].index(link_axis(axes))
        numbers = np.arange(len(self.slices.indices)).reshape(self.slices.stacked_shape)
        moved = np.moveaxis(numbers, along, -1)
        stacks: list[list[int]] = moved.reshape(-1, moved.shape[-1]).tolist()
        return stacks

    def _object_classes(self) -> list[int]:
        """Return the classes of all objects."""
        if not self.separate:
            return []
        files = [self.folder / f"{part.key}.classes.npy" for part in self.parts]
        return [number for file in files for number in read_part(file).tolist()]

    def _offsets(self) -> list[int]:
        """Return the number of objects before every part."""
        if not self.separate:
            return [0] * len(self.parts)
        files = [self.folder / f"{part.key}.classes.npy" for part in self.parts]
        return [0, *np.cumsum([len(read_part(file)) for file in files]).tolist()][:-1]

    def _blocks(self) -> Iterator[tuple[int, Rows | None, NDArray[Any]]]:
        """Yield number of the slice, rows and final labels of every part, slice by slice."""
        for position, offset in enumerate(self._offsets()):
            part, planes = self.parts[position], self._part(position)
            for number in range(part.first, part.stop):
                block = planes[number - part.first]
                wide = np.iinfo(np.uint32).max
                yield number, part.rows, renumbered(block, offset, wide) if offset else block

    def _plane(self, number: int, offsets: Sequence[int]) -> NDArray[Any]:
        """Return a slice with final object numbers; parts are complete slices here."""
        position = bisect_right(self.parts, number, key=lambda part: part.first) - 1
        plane = self._part(position)[number - self.parts[position].first]
        return renumbered(plane, offsets[position], np.iinfo(np.uint32).max)

    def _part(self, position: int) -> NDArray[Any]:
        return read_part(self.folder / f"{self.parts[position].key}.npy")

    def _where(self, number: int, rows: Rows | None) -> tuple[int | slice, ...]:
        slices = self.slices
        rows = (0, slices.height) if rows is None else rows
        return slices.where(slices.indices[number], rows, (0, slices.width))

    def _put(
        self, result: NDArray[Any], number: int, rows: Rows | None, block: NDArray[Any]
    ) -> None:
        result[self._where(number, rows)] = block.T if self.slices.transposed else block
