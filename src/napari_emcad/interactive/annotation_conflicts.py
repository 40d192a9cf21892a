"""Annotations of one image that disagree: which one counts, and a message about it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.interactive.annotated_patches import PatchKey

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    import numpy as np
    from numpy.typing import NDArray

    from napari_emcad.annotation.patch import AnnotatedPatch
    from napari_emcad.annotation.record import Record
    from napari_emcad.interactive.annotated_patches import AnnotatedImage


def merged_record(images: Iterable[AnnotatedImage], record: Record) -> Record:
    """Return the record of some images; where two annotations disagree, the later one counts.

    Parameters
    ----------
    images
        Annotated images to keep.
    record
        Record of all images, in their order.
    """
    keys = patch_keys(images, record)
    patches: dict[Hashable, AnnotatedPatch] = {key: record.patches[key] for key in keys}
    for key, later in _overlapping_pairs(keys):
        conflict = _conflicting_pixels(patches[key], record.patches[later])
        patches[key] = patches[key].without_pixels(conflict)
    return replace(record, patches=patches)


def conflict_message(images: Iterable[AnnotatedImage], record: Record) -> str:
    """Return a message about pixels that two annotations of one image label differently, or ""."""
    patches = {key: record.patches[key] for key in patch_keys(images, record)}
    counts: dict[str, int] = {}
    for key, later in _overlapping_pairs(patches):
        conflicts = int(_conflicting_pixels(patches[key], patches[later]).sum())
        counts[key.name] = counts.get(key.name, 0) + conflicts
    parts = [f"{count:,} pixels of “{name}”" for name, count in counts.items() if count]
    if not parts:
        return ""
    return f"Two annotations differ in {', '.join(parts)}; the lower one in the list counts."


def patch_keys(images: Iterable[AnnotatedImage], record: Record) -> list[PatchKey]:
    """Return the keys of a record's patches that belong to some images."""
    sources = {image.key for image in images}
    return [key for key in record.patches if isinstance(key, PatchKey) and key.source in sources]


def _overlapping_pairs(keys: Iterable[PatchKey]) -> list[tuple[PatchKey, PatchKey]]:
    """Return pairs of patches of the same location, the later one second."""
    by_location: dict[Hashable, list[PatchKey]] = {}
    pairs = []
    for key in keys:
        earlier = by_location.setdefault(key.location, [])
        pairs += [(other, key) for other in earlier]
        earlier.append(key)
    return pairs


def _conflicting_pixels(one: AnnotatedPatch, other: AnnotatedPatch) -> NDArray[np.bool_]:
    """Return the pixels that are labeled in both patches with different classes."""
    labeled = (one.target != UNLABELED) & (other.target != UNLABELED)
    conflicting: NDArray[np.bool_] = labeled & (one.target != other.target)
    return conflicting
