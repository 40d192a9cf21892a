"""Give objects that overlap from slice to slice, or from time to time, one number."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.imaging.label_axes import check_labels, label_axes
from napari_emcad.imaging.read_plane import read_plane

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """How objects are linked.

    Parameters
    ----------
    overlap
        Least intersection over union of two objects in neighboring slices, above 0, up to 1.
    gap
        Number of slices in which an object may be missing.

    Raises
    ------
    ValueError
        If a value is out of bounds.
    """

    overlap: float = 0.25
    gap: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.overlap <= 1:
            raise ValueError(f"overlap is {self.overlap}; it must be above 0 and up to 1.")
        if self.gap < 0:
            raise ValueError(f"gap is {self.gap}; it must be 0 or more slices.")


class Linker:
    """Numbers the objects of one slice after another; only the last slices are kept.

    Parameters
    ----------
    settings
        How objects are linked.
    classes
        Class of every object by its number, 1, 2, …; objects of different classes are not linked.
        None links all of them.

    Attributes
    ----------
    first_numbers
        Entry k − 1 is the number that object k had in the slice where it was first seen.
    """

    def __init__(self, settings: LinkSettings, classes: Sequence[int] | None = None) -> None:
        self._settings = settings
        self._classes = None if classes is None else np.asarray([0, *classes])
        self._last: deque[NDArray[np.int64]] = deque(maxlen=settings.gap + 1)
        self.first_numbers: list[int] = []

    def add(self, labels: NDArray[Any]) -> NDArray[np.int64]:
        """Return the next slice with linked numbers.

        An object takes the number of the object with the largest overlap in the slice before; two
        objects of one slice never share a number. Where there is none, slices before that are
        asked, for objects that were not seen since.

        Parameters
        ----------
        labels
            ``(H, W)``, 0 for the background; every value is an object.
        """
        numbers, where = np.unique(labels, return_inverse=True)
        flat = where.reshape(labels.shape)
        new = np.zeros(len(numbers), np.int64)
        taken: set[int] = set()
        for earlier in reversed(self._last):
            self._match(flat, numbers, earlier, new, taken)
            taken |= set(np.unique(earlier).tolist())  # seen since
        for position, number in enumerate(numbers.tolist()):
            if number and not new[position]:
                self.first_numbers.append(number)
                new[position] = len(self.first_numbers)
        linked: NDArray[np.int64] = new[flat]
        self._last.append(linked)
        return linked

    def _match(
        self,
        flat: NDArray[np.integer],
        numbers: NDArray[Any],
        earlier: NDArray[np.int64],
        new: NDArray[np.int64],
        taken: set[int],
    ) -> None:
        """Give objects without a number those of an earlier slice, the largest overlap first."""
        for position, number, overlap in _overlaps(flat, numbers, earlier):
            if overlap < self._settings.overlap:
                return
            if new[position] or number in taken or not self._same_class(numbers[position], number):
                continue
            new[position] = number
            taken.add(number)

    def _same_class(self, number: int, linked: int) -> bool:
        if self._classes is None:
            return True
        return bool(self._classes[number] == self._classes[self.first_numbers[linked - 1]])


def _overlaps(
    flat: NDArray[np.integer], numbers: NDArray[Any], earlier: NDArray[np.int64]
) -> Iterator[tuple[int, int, float]]:
    """Yield position of the object, number in the earlier slice, and intersection over union.

    The largest overlap comes first; of equal ones, that of the lower numbers.
    """
    both = (numbers[flat] != 0) & (earlier != 0)
    pairs, counts = np.unique(np.stack([flat[both], earlier[both]]), axis=1, return_counts=True)
    sizes = np.bincount(flat.ravel(), minlength=len(numbers))
    before = np.bincount(earlier.ravel())
    union = sizes[pairs[0]] + before[pairs[1]] - counts
    overlap = counts / np.maximum(union, 1)
    for k in np.argsort(-overlap, kind="stable").tolist():
        yield int(pairs[0, k]), int(pairs[1, k]), float(overlap[k])


def link_stack(
    planes: Iterable[NDArray[Any]],
    settings: LinkSettings,
    classes: Sequence[int] | None,
    first_numbers: list[int],
) -> Iterator[NDArray[np.int64]]:
    """Yield the slices of one stack with linked numbers; only the last slices are kept.

    Parameters
    ----------
    planes
        Slices of the stack, ``(H, W)``.
    settings, classes
        See `Linker`.
    first_numbers
        First numbers of the objects of earlier stacks, to which those of this one are added.
    """
    linker, before = Linker(settings, classes), len(first_numbers)
    for plane in planes:
        linked = linker.add(plane)
        yield linked + before * (linked > 0)
    first_numbers += linker.first_numbers


def link_planes(
    labels: Any,
    axes: str,
    along: str,
    settings: LinkSettings,
    classes: Sequence[int] | None,
    first_numbers: list[int],
) -> Iterator[tuple[tuple[int | slice, ...], NDArray[np.int64]]]:
    """Yield the linked slices of an array, which may be lazy; only the last slices are in memory.

    Parameters
    ----------
    labels
        Integer array with objects numbered in every slice; 0 is the background.
    axes
        A letter per axis.
    along
        Axis along which objects are linked; those besides Y and X are linked one by one.
    settings, classes
        See `Linker`.
    first_numbers
        Gets the number that object 1, 2, … had in the slice where it was first seen.

    Yields
    ------
    where
        An index per axis; Y and X are whole.
    plane
        Linked numbers there.

    Raises
    ------
    ValueError
        If axes do not fit, labels are not whole numbers of 0 or more, or a slice cannot be read.
    """
    letters = label_axes(labels, axes)
    if along in ("Y", "X") or along not in letters:
        raise ValueError(f"The axes {letters} need Y, X and {along}, along which is linked.")
    others = [letter for letter in letters if letter not in ("Y", "X", along)]
    sizes = dict(zip(letters, labels.shape, strict=True))
    for index in np.ndindex(tuple(sizes[letter] for letter in others)):
        fixed = dict(zip(others, index, strict=True))
        places = [_place(letters, fixed | {along: step}) for step in range(sizes[along])]
        planes = (_read_labels(labels, where, letters) for where in places)
        yield from zip(places, link_stack(planes, settings, classes, first_numbers), strict=True)


def _place(letters: str, fixed: Mapping[str, int]) -> tuple[int | slice, ...]:
    return tuple(fixed.get(letter, slice(None)) for letter in letters)


def _read_labels(labels: Any, where: tuple[int | slice, ...], letters: str) -> NDArray[Any]:
    plane = read_plane(labels, where, letters)
    check_labels(plane)
    return plane


def link_axis(axes: str) -> str:
    """Return the axis along which objects are linked: Z, or the first stacked one."""
    return "Z" if "Z" in axes else next(letter for letter in axes if letter not in "YX")


def link_objects(
    labels: Any,
    axes: str | None = None,
    along: str = "Z",
    *,
    overlap: float = 0.25,
    gap: int = 0,
    classes: Sequence[int] | None = None,
) -> tuple[NDArray[np.integer], list[int]]:
    """Give objects that go through several slices of a stack one number.

    Parameters
    ----------
    labels
        Integer array with objects numbered in every slice; 0 is the background.
    axes
        A letter per axis; None for ZYX or TZYX.
    along
        Axis along which objects are linked: ``"Z"``, or ``"T"`` for tracks in time. Other axes
        besides Y and X are linked one by one.
    overlap, gap
        See `LinkSettings`.
    classes
        Class of object 1, 2, …; objects of different classes are not linked.

    Returns
    -------
    labels
        Linked numbers, uint16, or uint32 for more than 65,535 objects.
    first_numbers
        Number that object 1, 2, … had in the slice where it was first seen.

    Raises
    ------
    ValueError
        If axes do not fit, labels are not whole numbers of 0 or more, or a setting is out of
        bounds.

    Examples
    --------
    >>> linked, _ = napari_emcad.link_objects(labels, overlap=0.5, gap=1)  # doctest: +SKIP
    """
    array = np.asarray(labels)
    letters = label_axes(array, axes)
    settings, first_numbers = LinkSettings(overlap, gap), list[int]()
    result = np.zeros(array.shape, np.int64)
    for where, plane in link_planes(array, letters, along, settings, classes, first_numbers):
        result[where] = plane
    kind = np.uint16 if len(first_numbers) < 2**16 else np.uint32
    return result.astype(kind), first_numbers
