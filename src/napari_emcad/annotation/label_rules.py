"""What painted numbers mean: the label rule, for layers of strokes and for masks.

Value k is class k. In a mask 0 is the background; in a layer of scribbles 0 is unpainted, and 255
is background of which the user is sure. Objects are a mask whose numbers only count.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

Meaning = Literal["scribbles", "mask", "objects"]

UNLABELED = -1
"""Target value of a pixel of which nothing is known."""

BACKGROUND = 255
"""Value of sure background in scribbles."""

_TOLD = 4
"""So many values of a layer are listed."""

_MANY = 20
"""So many different values beyond the classes are objects that were counted."""


MOST_CLASSES = 64
"""Masks with values beyond are objects that were counted, not classes."""

_HALVES = "A mask of 0 and 255; its 255 is class 1."

_FEWEST_COUNTED, _SURELY_COUNTED, _WHOLE = 3, 5, 0.9
"""Values that may be counted objects, those that probably are, and the share in one piece."""


class LabelValueError(ValueError):
    """Painted numbers do not fit the classes; one sentence says which and what to do."""


@dataclass(frozen=True, slots=True)
class LabelRule:
    """What the values of one layer mean.

    Parameters
    ----------
    meaning
        ``"scribbles"``: 0 is unpainted, 255 background. ``"mask"``: 0 is background.
        ``"objects"``: 0 is background, everything else is class 1.
    moved
        Pairs (value, class) of values that stand for another class than their number; class 0 is
        the background.

    Raises
    ------
    ValueError
        If the meaning is unknown or a value stands for two classes.
    """

    meaning: Meaning = "scribbles"
    moved: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "moved", tuple(sorted((int(v), int(k)) for v, k in self.moved)))
        if self.meaning not in ("scribbles", "mask", "objects"):
            raise ValueError(f"{self.meaning!r} is no meaning; scribbles, mask or objects are.")
        values = [value for value, _ in self.moved]
        if len(set(values)) < len(values):
            raise ValueError(f"A value stands for two classes: {self.moved}.")

    def class_of(self, value: int) -> int:
        """Return the class that a value stands for; `UNLABELED` for none."""
        if value in (moved := dict(self.moved)):
            return moved[value]
        if value == 0:
            return UNLABELED if self.meaning == "scribbles" else 0
        if self.meaning == "objects":
            return 1
        return 0 if self.meaning == "scribbles" and value == BACKGROUND else value

    def value_of(self, k: int) -> int:
        """Return the value to paint class `k` with, the background being class 0.

        Raises
        ------
        ValueError
            If no value stands for it; `with_class` makes room.
        """
        usual = BACKGROUND if k == 0 and self.meaning == "scribbles" else k
        candidates = [usual, *(value for value, _ in self.moved)]
        for value in candidates:
            if self.class_of(value) == k:
                return value
        raise ValueError(f"No value stands for class {k}.")

    def with_class(self, k: int) -> LabelRule:
        """Return the rule with a value for class `k`, one that stands for nothing yet.

        Objects are all of class 1, so none of their numbers is free for another one.
        """
        if self.meaning == "objects":
            return self
        taken = {value for value, _ in self.moved}
        if any(self.class_of(value) == k for value in (k, *taken)):
            return self
        free = next(v for v in range(k, BACKGROUND) if v not in taken)
        return replace(self, moved=(*self.moved, (free, k)))

    def without(self, k: int, classes: int) -> LabelRule:
        """Return the rule once class `k` of so many is gone and those behind it move up.

        What is painted stays as it is: the values of the class stand for nothing from now on.
        """
        values = {value for value, _ in self.moved} | set(range(1, classes + 1))
        moved = dict(self.moved)
        for value in values:
            was = self.class_of(value)
            if was == k:
                moved[value] = UNLABELED
            elif was > k:
                moved[value] = was - 1
        return replace(self, moved=tuple(moved.items()))


@dataclass(frozen=True, slots=True)
class Detected:
    """What a layer's values probably mean.

    Attributes
    ----------
    rule
        The most sensible reading.
    sure
        Whether there is no other one; else the user has to say.
    why
        A sentence for the user.
    """

    rule: LabelRule
    sure: bool
    why: str


def detect(counts: Mapping[int, int], classes: int) -> Detected:
    """Return what a layer that was made elsewhere probably means.

    Parameters
    ----------
    counts
        Pixels by value.
    classes
        How many the network has, without the background.
    """
    values = {value for value, count in counts.items() if count and value != 0}
    if not values:
        return Detected(LabelRule(), sure=True, why="Nothing is painted yet.")
    if values == {BACKGROUND} and classes < BACKGROUND:
        rule = LabelRule("mask", ((BACKGROUND, 1),))
        return Detected(rule, sure=True, why=_HALVES)
    if max(values) > classes and _are_levels(values):
        return _in_order(values) or Detected(LabelRule("mask"), sure=False, why="")
    beyond = {value for value in values if value > classes}
    if not beyond:
        why = "0 may be background (a mask) or unpainted (scribbles)."
        return Detected(LabelRule("mask"), sure=0 not in counts, why=why)
    if beyond == {BACKGROUND}:
        why = "255 beside classes is taken as sure background, 0 as unpainted (scribbles)."
        return Detected(LabelRule("scribbles"), sure=False, why=why)
    why = f"Values up to {max(values)}: single objects, it seems, all of class 1."
    return Detected(LabelRule("objects"), sure=len(beyond) >= _MANY, why=why)


def read_as(rule: LabelRule, meaning: Meaning, counts: Mapping[int, int], classes: int) -> Detected:
    """Return the rule of a layer whose numbers mean something else from now on.

    Parameters
    ----------
    rule
        What they meant before.
    meaning
        What they are to mean.
    counts
        Pixels by value.
    classes
        How many there are, without the background.
    """
    values = {value for value, count in counts.items() if count and value != 0}
    if meaning == "objects":
        return Detected(LabelRule("objects"), sure=True, why="")
    usual = {value: k for value, k in rule.moved if value != BACKGROUND}
    if meaning == "mask" and values == {BACKGROUND}:
        return Detected(LabelRule("mask", (*usual.items(), (BACKGROUND, 1))), True, _HALVES)
    after = LabelRule(meaning, tuple(usual.items()))
    if meaning == "mask" and any(after.class_of(value) > classes for value in values):
        return _in_order(values) or Detected(after, sure=False, why="")
    if meaning == "scribbles" and BACKGROUND in values:
        before = rule.class_of(BACKGROUND)
        told = f", no longer class {before}" if before > 0 else ""
        why = f"255 is sure background now{told}, and 0 is unpainted, as in all strokes."
        return Detected(after, sure=True, why=why)
    return Detected(after, sure=True, why="")


def _in_order(values: set[int]) -> Detected | None:
    """Return a mask whose values are classes 1, 2, … in their order; None if they are too many."""
    if len(values) > MOST_CLASSES:
        return None
    numbered = [(value, k) for k, value in enumerate(sorted(values), start=1)]
    moved = tuple((value, k) for value, k in numbered if value != k)
    said = ", ".join(f"{value} is class {k}" for value, k in numbered[:_TOLD])
    more = " …" if len(numbered) > _TOLD else "."
    why = f"A mask; in the order of its values {said}{more}"
    return Detected(LabelRule("mask", moved), sure=not moved, why=why)


def _are_levels(values: set[int]) -> bool:
    """Whether values share 255 evenly, as masks that were made to be looked at do."""
    steps = BACKGROUND / len(values)
    even = (abs(v - k * steps) <= 1 for k, v in enumerate(sorted(values), start=1))
    return len(values) <= _MANY and all(even)


def target(labels: NDArray[np.generic], rule: LabelRule, classes: int) -> NDArray[np.int16]:
    """Return what a loss sees: the class of each pixel, `UNLABELED` where nothing is known.

    Parameters
    ----------
    labels
        Whole numbers (or bool) of any shape.
    rule
        What they mean.
    classes
        How many there are, without the background.

    Raises
    ------
    PaintError
        If a value stands for no class.
    """
    if labels.dtype in (np.uint8, bool):
        return _looked_up(labels.astype(np.uint8, copy=False), rule, classes)
    values, places = np.unique(labels, return_inverse=True)
    meant = np.array([rule.class_of(int(value)) for value in values], np.int64)
    _check(values, meant, classes)
    return meant.astype(np.int16)[places].reshape(labels.shape)


def _looked_up(labels: NDArray[np.uint8], rule: LabelRule, classes: int) -> NDArray[np.int16]:
    """Return the target of bytes, ten times as fast as that of other numbers."""
    meant = np.array([rule.class_of(value) for value in range(256)], np.int64)
    present = np.flatnonzero(np.bincount(labels.ravel(), minlength=256))
    _check(present, meant[present], classes)
    return meant.astype(np.int16)[labels]


def _check(values: NDArray[np.generic], meant: NDArray[np.int64], classes: int) -> None:
    strange = [int(v) for v, k in zip(values, meant, strict=True) if not UNLABELED <= k <= classes]
    if strange:
        listed = ", ".join(map(str, strange[:5])) + (" …" if len(strange) > 5 else "")
        known = "class 1" if classes == 1 else f"classes 1 to {classes}"
        raise LabelValueError(
            f"The painted value {listed} stands for no class; there is {known}. Say in the list "
            f"what the numbers mean, or add a class."
        )


def mask_as_class(labels: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return labels with a mask of 0 and 255 read as what it is: 255 is class 1."""
    if not set(np.unique(labels).tolist()) <= {0, BACKGROUND}:
        return labels
    return np.asarray(labels != 0, np.uint8)


def refuse_negative(labels: NDArray[np.generic]) -> None:
    """Refuse labels below 0, which mean nothing.

    Raises
    ------
    ValueError
        If there are any.
    """
    least = int(labels.min(initial=0))
    if least < 0:
        raise ValueError(f"the labels hold {least}; classes are 1, 2, …, and 0 the background.")


def value_counts(labels: NDArray[np.generic]) -> dict[int, int]:
    """Return pixels by value."""
    if labels.dtype in (np.uint8, bool):
        bins = np.bincount(labels.ravel().astype(np.uint8, copy=False))
        return {int(v): int(bins[v]) for v in np.flatnonzero(bins)}
    values, counts = np.unique(labels, return_counts=True)
    return {int(v): int(n) for v, n in zip(values, counts, strict=True)}


@dataclass(frozen=True, slots=True)
class Parts:
    """What a mask consists of.

    Attributes
    ----------
    values
        Those above 0, in order.
    whole
        How many of them are in one piece.
    """

    values: tuple[int, ...]
    whole: int


def parts(labels: NDArray[np.generic]) -> Parts:
    """Return what a mask consists of; pixels that touch at a side are one piece."""
    values, places = np.unique(labels, return_inverse=True)
    numbered = places.reshape(labels.shape) + 1
    boxes = ndimage.find_objects(numbered)
    above = [number for number, value in enumerate(values.tolist(), start=1) if value > 0]
    pieces = [int(ndimage.label(numbered[boxes[n - 1]] == n)[1]) for n in above]
    return Parts(tuple(int(values[n - 1]) for n in above), pieces.count(1))


def seem_counted(masks: Iterable[Parts]) -> bool:
    """Return whether the values of masks seem to number single objects rather than classes.

    They do if nearly every value is in one piece and masks end with different values.
    """
    filled = [each for each in masks if each.values]
    values = sum(len(each.values) for each in filled)
    last = {each.values[-1] for each in filled}
    if not filled or max(last) < _FEWEST_COUNTED or values < 2 * len(filled):
        return False
    differ = len(last) > 1 or max(last) >= _SURELY_COUNTED
    return differ and sum(each.whole for each in filled) >= _WHOLE * values
