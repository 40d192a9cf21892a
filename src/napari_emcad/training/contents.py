"""Contents of labeled slices, independent of their names: copies, and changes since a run began."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_emcad.imaging.arrays import array_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_emcad.training.samples import LabeledSlice


def content_digests(slices: Iterable[LabeledSlice]) -> dict[str, str]:
    """Return checksums of the pixels and labels of slices, by what they are of."""
    digests = {}
    for labeled in slices:
        digests[f"pixels of {labeled.name}"] = labeled.digest
        digests[f"labels of {labeled.name}"] = array_digest(labeled.target)
    return digests


def find_copies(
    training: Sequence[LabeledSlice], held_out: Sequence[LabeledSlice]
) -> list[tuple[LabeledSlice, LabeledSlice]]:
    """Return held-out slices with the training slices that have the same pixels.

    Constant slices are not compared, because many images have empty ones.
    """
    originals = {one.digest: one for one in training if _is_comparable(one)}
    return [
        (one, originals[one.digest])
        for one in held_out
        if _is_comparable(one) and one.digest in originals
    ]


def same_labels(one: LabeledSlice, other: LabeledSlice) -> bool:
    """Whether two slices have the same labels."""
    return array_digest(one.target) == array_digest(other.target)


def images_with_copies(slices: Sequence[LabeledSlice]) -> dict[str, str]:
    """Return the group of every image by its name; images that share a slice are one group."""
    groups = {one.image_name: one.image_name for one in slices}
    first: dict[str, str] = {}
    for one in filter(_is_comparable, slices):
        known = first.setdefault(one.digest, one.image_name)
        old, new = groups[one.image_name], groups[known]
        if old != new:
            groups = {name: new if group == old else group for name, group in groups.items()}
    return groups


def _is_comparable(labeled: LabeledSlice) -> bool:
    return bool(labeled.digest) and bool(labeled.planes.max() > labeled.planes.min())
