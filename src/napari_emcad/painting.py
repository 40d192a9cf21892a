"""Floor 4: what was painted on which images, read window by window.

A page is a painted slice, or of a large one a square that holds paint; only those are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.imaging.paint import UNPAINTED, LabelRule, target

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.imaging.slices import Index, Slices
    from napari_emcad.imaging.strokes import Record

BLOCK = 1024
"""Side of a page of a slice that is larger than two of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Painted:
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
    """

    key: Hashable
    name: str
    slices: Slices
    labels: Any
    rule: LabelRule
    corner: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class PageKey:
    """Which slice of which image, and which part of it.

    Attributes
    ----------
    source, name
        Key and name of the `Painted`.
    index
        Position along the stacked axes.
    rows, columns
        Half-open ranges of the page in the slice.
    """

    source: Hashable
    name: str
    index: Index
    rows: tuple[int, int]
    columns: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.name} {list(self.index)}" if self.index else self.name


def targets(sources: Iterable[Painted], classes: int) -> dict[PageKey, NDArray[np.int16]]:
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
    source: Painted, index: Index, rows: tuple[int, int], columns: tuple[int, int], classes: int
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
    window = np.full((rows[1] - rows[0], columns[1] - columns[0]), UNPAINTED, np.int16)
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


def masks(sources: Iterable[Painted], keys: Iterable[PageKey]) -> set[PageKey]:
    """Return the pages of whole masks, which know no strokes."""
    whole = {each.key for each in sources if each.rule.meaning != "scribbles"}
    return {key for key in keys if key.source in whole}


def pages_of(sources: Iterable[Painted], record: Record) -> list[PageKey]:
    """Return the pages of a record that are of these pairs."""
    ours = {each.key for each in sources}
    return [key for key in record.pages if isinstance(key, PageKey) and key.source in ours]


def _planes_of(
    source: Painted, only: Index | None = None
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
    source: Painted, index: Index, shape: tuple[int, ...], corner: tuple[int, int]
) -> Iterator[tuple[PageKey, tuple[slice, slice]]]:
    """Yield the pages of a painted plane, each with the part of the plane that lies on it."""
    whole = (source.slices.height, source.slices.width)
    for rows, columns in product(*map(_cuts, whole)):
        ours = [
            (max(first - start, 0), min(last - start, size))
            for (first, last), start, size in zip((rows, columns), corner, shape, strict=True)
        ]
        if all(first < last for first, last in ours):
            part = slice(*ours[0]), slice(*ours[1])
            yield PageKey(source.key, source.name, index, rows, columns), part


def _cuts(size: int) -> list[tuple[int, int]]:
    """Return the ranges that a side is cut into: one, unless it is longer than two blocks."""
    if size <= 2 * BLOCK:
        return [(0, size)]
    return [(start, min(start + BLOCK, size)) for start in range(0, size, BLOCK)]


def _full(key: PageKey, source: Painted, part: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return the target of a whole page of which the labels cover a part."""
    shape = key.rows[1] - key.rows[0], key.columns[1] - key.columns[0]
    if part.shape == shape:
        return part
    page = np.full(shape, UNPAINTED, np.int16)
    axes = source.slices.spatial_axes
    corner = dict(zip(axes, source.corner or (0,) * len(axes), strict=True))
    top, left = max(corner["Y"] - key.rows[0], 0), max(corner["X"] - key.columns[0], 0)
    page[top : top + part.shape[0], left : left + part.shape[1]] = part
    return page


class PlaneCache:
    """The pixels of pages, read once and kept while they are painted."""

    def __init__(self) -> None:
        self._kept: dict[tuple[PageKey, Preprocessing], tuple[Slices, NDArray[np.float32]]] = {}

    def planes(
        self, sources: Sequence[Painted], keys: Iterable[PageKey], preprocessing: Preprocessing
    ) -> Mapping[PageKey, NDArray[np.float32]]:
        """Return ``(1 or inputs, h, w)`` normalised planes of pages, and forget all others.

        Parameters
        ----------
        sources
            The pairs that the pages are of.
        keys
            Of the pages.
        preprocessing
            Intensities are prepared as it says.
        """
        from napari_emcad.inference.pieces import Preparation  # torch; a panel makes values only

        by_key = {each.key: each for each in sources}
        ready: dict[Hashable, Preparation] = {}
        kept, read = {}, {}
        for key in keys:
            slices = by_key[key.source].slices
            before = self._kept.get((key, preprocessing))
            if before is not None and _same(before[0], slices):
                planes = before[1]
            else:
                source = ready.setdefault(key.source, Preparation(slices, preprocessing))
                planes = source.planes(key.index, key.rows, key.columns)
            kept[key, preprocessing] = slices, planes
            read[key] = planes
        self._kept = kept
        return read


def _same(one: Slices, other: Slices) -> bool:
    return one.image is other.image and (one.axes, one.channels) == (other.axes, other.channels)
