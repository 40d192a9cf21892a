"""Annotated patches as labeled slices for training and for validation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.interactive.annotated_patches import PatchKey, merged_record, patches_of
from napari_emcad.training.samples import LabeledSlice, resized_slice

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from napari_emcad.annotation.record import Record
    from napari_emcad.interactive.plane_cache import PlaneCache
    from napari_emcad.interactive.task import TrainingTask


_NEW_WEIGHT = 3.0
"""How much oftener a slice with new paint is drawn."""


def painted_slices(
    record: Record,
    planes: Mapping[Any, NDArray[np.float32]],
    since: int | None = None,
    sizes: Mapping[Any, tuple[int, int]] | None = None,
) -> tuple[list[LabeledSlice], list[LabeledSlice]]:
    """Return what is to be learned of a record of painting, and what is held out.

    Parameters
    ----------
    record
        Its pages are the slices; those with new paint are drawn more often.
    planes
        ``(1 or inputs, H, W)`` normalized planes of each page.
    since
        The look after which paint is new; None for the last one.
    sizes
        What the network resizes each page to; None leaves them. A pixel that covers both learned
        and held-out ones then is neither.
    """
    learned: list[LabeledSlice] = []
    tested: list[LabeledSlice] = []
    firsts = record.first()
    for key, page in record.pages.items():
        new, ground, size = record.new(key, since), record.ground(key), (sizes or {}).get(key)
        weight = _NEW_WEIGHT if new.any() else 1.0
        for target, into, others in (
            (page.learned(), learned, ground.held_out),
            (page.tested(), tested, ground.for_learning),
        ):
            if not (target != UNLABELED).any():
                continue
            first = firsts.get(key, np.full_like(target, UNLABELED)) != UNLABELED
            found = LabeledSlice(str(key), planes[key], target, weight, new, first_strokes=first)
            if size is not None and size != target.shape:
                found = _apart(resized_slice(found, size), _covered(others(), size))
            if (found.target != UNLABELED).any():
                into.append(found)
    return learned, tested


def _apart(source: LabeledSlice, others: NDArray[np.bool_]) -> LabeledSlice:
    """Return a slice without the pixels that others have to do with as well."""
    target = np.where(others, np.int16(UNLABELED), source.target)
    recent = None if source.recent is None else source.recent & ~others
    return replace(source, target=target, recent=recent)


def _covered(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the pixels of another size that `resized_slice` would paint for those of a mask."""
    target = np.where(mask, np.int16(0), np.int16(UNLABELED))
    small = resized_slice(LabeledSlice("", np.zeros((1, 1, 1), np.float32), target), size)
    covered: NDArray[np.bool_] = small.target != UNLABELED
    return covered


_PAGES = 4
"""Painted pages that the opened model is asked about, with first strokes and without."""


def _slices(
    lesson: TrainingTask, targets: Mapping[Any, NDArray[np.integer]], cache: PlaneCache
) -> Iterator[LabeledSlice]:
    """Return some of these pages with these targets, as the network sees them."""
    preprocessing = lesson.checkpoint.preprocessing
    keys = [key for key in patches_of(lesson.sources, lesson.record) if key in targets][:_PAGES]
    planes = cache.planes(lesson.sources, keys, preprocessing)
    sizes = {} if preprocessing.size is None else _sizes(lesson, preprocessing.size)
    for key in keys:
        yield resized_slice(LabeledSlice(str(key), planes[key], targets[key]), sizes.get(key))


def slices_of(
    lesson: TrainingTask, cache: PlaneCache, since: int | None = None
) -> tuple[list[LabeledSlice], list[LabeledSlice]]:
    """Return what is learned and what is held out, as the network sees it."""
    preprocessing = lesson.checkpoint.preprocessing
    record = merged_record(lesson.sources, lesson.record)
    planes = cache.planes(lesson.sources, patches_of(lesson.sources, record), preprocessing)
    sizes = None if preprocessing.size is None else _sizes(lesson, preprocessing.size)
    return painted_slices(record, planes, since, sizes)


def _sizes(lesson: TrainingTask, size: tuple[int, int]) -> dict[PatchKey, tuple[int, int]]:
    """Return what pages become when their slices are resized: a part of a slice that part of it."""
    whole = {each.key: (each.slices.height, each.slices.width) for each in lesson.sources}
    found = {}
    for key in patches_of(lesson.sources, lesson.record):
        ranges = zip((key.rows, key.columns), whole[key.source], size, strict=True)
        height, width = (max(round(n * (b - a) / side), 1) for (a, b), side, n in ranges)
        found[key] = height, width
    return found
