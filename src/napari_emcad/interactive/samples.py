"""Annotated patches as labeled slices for training and validation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.interactive.annotated_patches import PatchKey
from napari_emcad.interactive.annotation_conflicts import patch_keys
from napari_emcad.training.samples import LabeledSlice, resized_slice

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from napari_emcad.annotation.record import Record
    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.interactive.plane_cache import PlaneCache
    from napari_emcad.interactive.task import TrainingTask

    Size = tuple[int, int]

_NEW_WEIGHT = 3.0
"""Factor on the probability of drawing a slice with new annotations."""

_FAMILIARITY_PATCHES = 4
"""Largest number of patches, with first strokes and without, on which familiarity is measured."""


@dataclass(frozen=True, slots=True, eq=False)
class TaskPlanes:
    """Normalized pixels of a task's patches, read once per training or update.

    Attributes
    ----------
    task
        Training task.
    planes
        ``(1 or channels, H, W)`` by patch.
    sizes
        Size to which a network of fixed input size resizes a patch; empty for other networks.
    """

    task: TrainingTask
    planes: Mapping[PatchKey, NDArray[np.float32]]
    sizes: Mapping[PatchKey, Size]

    def split(self, since: int | None = None) -> tuple[list[LabeledSlice], list[LabeledSlice]]:
        """Return training slices and held-out slices; see `labeled_slices`."""
        return labeled_slices(self.task.record, self.planes, since, self.sizes)

    def familiarity_slices(self) -> tuple[list[LabeledSlice], list[LabeledSlice]]:
        """Return slices with only the first strokes of the classes, and other annotated slices."""
        record = self.task.record
        first_strokes = record.first_strokes()
        others = {
            key: patch.target for key, patch in record.patches.items() if key not in first_strokes
        }
        return list(self._slices(first_strokes)), list(self._slices(others))

    def _slices(self, targets: Mapping[Any, NDArray[np.integer]]) -> Iterator[LabeledSlice]:
        keys = [key for key in self.planes if key in targets][:_FAMILIARITY_PATCHES]
        for key in keys:
            labeled = LabeledSlice(str(key), self.planes[key], targets[key])
            yield resized_slice(labeled, self.sizes.get(key))


def read_planes(
    task: TrainingTask, cache: PlaneCache, preprocessing: Preprocessing | None = None
) -> TaskPlanes:
    """Return the pixels of a task's patches as a network expects them.

    Parameters
    ----------
    task
        Training task.
    cache
        Holds pixels from one update to the next.
    preprocessing
        Preprocessing of the network; None for that of the task's checkpoint.
    """
    preprocessing = preprocessing or task.checkpoint.preprocessing
    keys = patch_keys(task.images, task.record)
    planes = cache.planes(task.images, keys, preprocessing)
    sizes = {} if preprocessing.size is None else _resized_sizes(task, keys, preprocessing.size)
    return TaskPlanes(task, planes, sizes)


def labeled_slices(
    record: Record,
    planes: Mapping[Any, NDArray[np.float32]],
    since: int | None = None,
    sizes: Mapping[Any, Size] | None = None,
) -> tuple[list[LabeledSlice], list[LabeledSlice]]:
    """Return training slices and held-out slices of a record.

    Parameters
    ----------
    record
        Its patches are the slices; those with new annotations are drawn more often.
    planes
        ``(1 or channels, H, W)`` normalized pixels of each patch.
    since
        Number of the scan after which annotations are new; None for the last one.
    sizes
        Size to which the network resizes each patch; None leaves them. A resized pixel that covers
        both training and held-out pixels is used for neither.
    """
    training: list[LabeledSlice] = []
    held_out: list[LabeledSlice] = []
    first_strokes = record.first_strokes()
    for key, patch in record.patches.items():
        new, split_mask = record.new_pixels(key, since), record.split_mask(key)
        size = (sizes or {}).get(key)
        weight = _NEW_WEIGHT if new.any() else 1.0
        for target, slices, excluded in (
            (patch.training_target(), training, split_mask.held_out),
            (patch.validation_target(), held_out, split_mask.training),
        ):
            if not (target != UNLABELED).any():
                continue
            first = first_strokes.get(key, np.full_like(target, UNLABELED)) != UNLABELED
            labeled = LabeledSlice(
                str(key), planes[key], target, weight, new, _image_of(key), first_strokes=first
            )
            if size is not None and size != target.shape:
                labeled = _without(resized_slice(labeled, size), _resized_mask(excluded(), size))
            if (labeled.target != UNLABELED).any():
                slices.append(labeled)
    return training, held_out


def _image_of(key: Any) -> str:
    """Return what identifies the image of a patch; images may have the same name."""
    if not isinstance(key, PatchKey):
        return str(key)
    image = key.source if key.image is None else key.image
    return f"{key.name} ({image})"


def _without(labeled: LabeledSlice, mask: NDArray[np.bool_]) -> LabeledSlice:
    """Return a slice with the pixels of a mask unlabeled."""
    target = np.where(mask, np.int16(UNLABELED), labeled.target)
    recent = None if labeled.recent is None else labeled.recent & ~mask
    return replace(labeled, target=target, recent=recent)


def _resized_mask(mask: NDArray[np.bool_], size: Size) -> NDArray[np.bool_]:
    """Return the pixels of another size that `resized_slice` labels for those of a mask."""
    target = np.where(mask, np.int16(0), np.int16(UNLABELED))
    resized = resized_slice(LabeledSlice("", np.zeros((1, 1, 1), np.float32), target), size)
    labeled: NDArray[np.bool_] = resized.target != UNLABELED
    return labeled


def _resized_sizes(task: TrainingTask, keys: list[PatchKey], size: Size) -> dict[PatchKey, Size]:
    """Return the size of each patch after its whole slice is resized to `size`."""
    shapes = {image.key: (image.slices.height, image.slices.width) for image in task.images}
    sizes = {}
    for key in keys:
        ranges = zip((key.rows, key.columns), shapes[key.source], size, strict=True)
        height, width = (max(round(n * (b - a) / side), 1) for (a, b), side, n in ranges)
        sizes[key] = height, width
    return sizes
