"""What was painted on which images, read window by window.

A page is a painted slice, or of a large one a square that holds paint; only those are read.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.annotation.label_rules import UNLABELED, LabelRule, target

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from napari_emcad.annotation.record import AnnotatedPatch, Record
    from napari_emcad.imaging.slices import Index, Slices

BLOCK = 1024
"""Side of a page of a slice that is larger than two of them."""


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedImage:
    """An image and what was painted on it.

    Attributes
    ----------
    key
        What tells this pair from others, as long as a program runs.
    name
        Of the image, for people.
    slices
        The whole image.
    labels
        Painted numbers, of the image's spatial shape or of a part of it; read, never written.
    rule
        What the numbers mean.
    corner
        Where in the image `labels` begin, along its spatial axes; () is at its corner.
    image
        What tells the image from others, whichever of its annotations this is; None if it has no
        other one.
    """

    key: Hashable
    name: str
    slices: Slices
    labels: Any
    rule: LabelRule
    corner: tuple[int, ...] = ()
    image: Hashable = None


@dataclass(frozen=True, slots=True)
class PatchKey:
    """Which slice of which image, and which part of it.

    Attributes
    ----------
    source, name, image
        Key, name and image of the `AnnotatedImage`; only the key tells pages apart, names change.
    index
        Position along the stacked axes.
    rows, columns
        Half-open ranges of the page in the slice.
    """

    source: Hashable
    name: str = field(compare=False)
    index: Index
    rows: tuple[int, int]
    columns: tuple[int, int]
    image: Hashable = field(default=None, compare=False)

    @property
    def place(self) -> Hashable:
        """What pages of the same pixels have in common, whichever annotation they are of."""
        image = self.source if self.image is None else self.image
        return image, self.index, self.rows, self.columns

    def __str__(self) -> str:
        return f"{self.name} {list(self.index)}" if self.index else self.name


def targets(sources: Iterable[AnnotatedImage], classes: int) -> dict[PatchKey, NDArray[np.int16]]:
    """Return what is painted, page by page; pages without paint are left out.

    Parameters
    ----------
    sources
        The pairs that count.
    classes
        How many there are, without the background.

    Raises
    ------
    PaintError
        If a painted number stands for no class.
    """
    found = {}
    for source in sources:
        for index, labels, (top, left) in _planes_of(source):
            for key, part in _pages(source, index, labels.shape, (top, left)):
                painted = labels[part]
                if painted.any():
                    found[key] = _full(key, source, target(painted, source.rule, classes))
    return found


def painted_part(
    source: AnnotatedImage,
    index: Index,
    rows: tuple[int, int],
    columns: tuple[int, int],
    classes: int,
) -> NDArray[np.int16]:
    """Return what is painted in a window of one slice.

    Parameters
    ----------
    source
        The pair.
    index
        Of the slice, along the stacked axes.
    rows, columns
        Half-open ranges of the window.
    classes
        How many there are, without the background.

    Raises
    ------
    PaintError
        If a painted number stands for no class.
    """
    window = np.full((rows[1] - rows[0], columns[1] - columns[0]), UNLABELED, np.int16)
    for _, labels, (top, left) in _planes_of(source, index):
        ranges = (rows, top, labels.shape[0]), (columns, left, labels.shape[1])
        both = [
            (max(first, start), min(last, start + size)) for (first, last), start, size in ranges
        ]
        if all(first < last for first, last in both):
            (first, last), (begin, end) = both
            inside = (
                slice(first - rows[0], last - rows[0]),
                slice(begin - columns[0], end - columns[0]),
            )
            part = labels[first - top : last - top, begin - left : end - left]
            window[inside] = target(part, source.rule, classes)
    return window


def masks(sources: Iterable[AnnotatedImage], keys: Iterable[PatchKey]) -> set[PatchKey]:
    """Return the pages of whole masks, which know no strokes."""
    whole = {each.key for each in sources if each.rule.meaning != "scribbles"}
    return {key for key in keys if key.source in whole}


def looked(sources: Sequence[AnnotatedImage], record: Record, classes: int) -> Record:
    """Return a record after another look at all pairs.

    Raises
    ------
    PaintError
        If a painted number stands for no class.
    """
    found = targets(sources, classes)
    places = {key: key.place for key in found}
    return record.looked(found, masks(sources, found), places=places)


def merged_record(sources: Iterable[AnnotatedImage], record: Record) -> Record:
    """Return the record of some pairs alone; where two of one image differ, the later one counts.

    Parameters
    ----------
    sources
        The pairs that count.
    record
        Of all pairs, in their order.
    """
    keys = patches_of(sources, record)
    pages: dict[Hashable, AnnotatedPatch] = {key: record.pages[key] for key in keys}
    for key, later in _together(keys):
        pages[key] = pages[key].clear_of(_differ(pages[key], record.pages[later]))
    return replace(record, pages=pages)


def disagreement(sources: Iterable[AnnotatedImage], record: Record) -> str:
    """Return a sentence on pixels that annotations of one image paint differently, or ""."""
    pages = {key: record.pages[key] for key in patches_of(sources, record)}
    counts: dict[str, int] = {}
    for key, later in _together(pages):
        count = int(_differ(pages[key], pages[later]).sum())
        counts[key.name] = counts.get(key.name, 0) + count
    said = [f"{count:,} pixels of “{name}”" for name, count in counts.items() if count]
    if not said:
        return ""
    return f"Two annotations differ in {', '.join(said)}; the lower one in the list counts."


def _together(pages: Iterable[PatchKey]) -> list[tuple[PatchKey, PatchKey]]:
    """Return pairs of pages of the same place, the later one second."""
    before: dict[Hashable, list[PatchKey]] = {}
    found = []
    for key in pages:
        here = before.setdefault(key.place, [])
        found += [(each, key) for each in here]
        here.append(key)
    return found


def _differ(one: AnnotatedPatch, other: AnnotatedPatch) -> NDArray[np.bool_]:
    """Return where both pages are painted with different classes."""
    both = (one.target != UNLABELED) & (other.target != UNLABELED)
    differ: NDArray[np.bool_] = both & (one.target != other.target)
    return differ


def patches_of(sources: Iterable[AnnotatedImage], record: Record) -> list[PatchKey]:
    """Return the pages of a record that are of these pairs."""
    ours = {each.key for each in sources}
    return [key for key in record.pages if isinstance(key, PatchKey) and key.source in ours]


def _planes_of(
    source: AnnotatedImage, only: Index | None = None
) -> Iterator[tuple[Index, NDArray[Any], tuple[int, int]]]:
    """Yield position, painted plane (rows first) and corner of each slice that has labels.

    Other slices than the one that is wanted are not read: they may be on a disk.
    """
    axes = source.slices.spatial_axes
    corner = dict(zip(axes, source.corner or (0,) * len(axes), strict=True))
    stacked = [letter for letter in axes if letter not in "YX"]
    sizes = [source.labels.shape[axes.index(letter)] for letter in stacked]
    for place in product(*map(range, sizes)):
        position = dict(zip(stacked, place, strict=True))
        index = tuple(position[letter] + corner[letter] for letter in stacked)
        if only is not None and index != only:
            continue
        plane = np.asarray(source.labels[tuple(position.get(a, slice(None)) for a in axes)])
        turned = plane.T if source.slices.transposed else plane
        yield index, turned, (corner["Y"], corner["X"])


def _pages(
    source: AnnotatedImage, index: Index, shape: tuple[int, ...], corner: tuple[int, int]
) -> Iterator[tuple[PatchKey, tuple[slice, slice]]]:
    """Yield the pages of a painted plane, each with the part of the plane that lies on it."""
    whole = (source.slices.height, source.slices.width)
    for rows, columns in product(*map(_cuts, whole)):
        ours = [
            (max(first - start, 0), min(last - start, size))
            for (first, last), start, size in zip((rows, columns), corner, shape, strict=True)
        ]
        if all(first < last for first, last in ours):
            part = slice(*ours[0]), slice(*ours[1])
            yield PatchKey(source.key, source.name, index, rows, columns, source.image), part


def _cuts(size: int) -> list[tuple[int, int]]:
    """Return the ranges that a side is cut into: one, unless it is longer than two blocks."""
    if size <= 2 * BLOCK:
        return [(0, size)]
    return [(start, min(start + BLOCK, size)) for start in range(0, size, BLOCK)]


def _full(key: PatchKey, source: AnnotatedImage, part: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return the target of a whole page of which the labels cover a part."""
    shape = key.rows[1] - key.rows[0], key.columns[1] - key.columns[0]
    if part.shape == shape:
        return part
    page = np.full(shape, UNLABELED, np.int16)
    axes = source.slices.spatial_axes
    corner = dict(zip(axes, source.corner or (0,) * len(axes), strict=True))
    top, left = max(corner["Y"] - key.rows[0], 0), max(corner["X"] - key.columns[0], 0)
    page[top : top + part.shape[0], left : left + part.shape[1]] = part
    return page
