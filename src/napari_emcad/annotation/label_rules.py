"""The label rule: which class a value of an annotation layer stands for.

Value k is class k; values below 0 are unlabeled. In a mask 0 is the background. In a layer of
scribbles 0 is unlabeled and 255 is the background. Instance labels are a mask of class 1 whose
values only number the objects.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Meaning = Literal["scribbles", "mask", "objects"]

UNLABELED = -1
"""Target value of a pixel whose class is unknown."""

BACKGROUND = 255
"""Value of the background in scribbles."""

MOST_CLASSES = 64
"""Largest number of classes; masks with more values are taken for instance labels."""


def too_many_classes(count: int) -> str:
    """Return the reason why an annotation cannot have so many classes."""
    return (
        f"An annotation can have at most {BACKGROUND - 1} classes besides the background, and this "
        f"model has {count}: its pixels are bytes, of which 0 is unlabeled and {BACKGROUND} the "
        f"background. Segment works with any number of classes."
    )


def check_class_count(count: int) -> None:
    """Raise ValueError if an annotation cannot have so many classes."""
    if count >= BACKGROUND:
        raise ValueError(too_many_classes(count))


class LabelValueError(ValueError):
    """A value of an annotation stands for no class; the message names it and the remedy."""


@dataclass(frozen=True, slots=True)
class LabelRule:
    """Class of each value of an annotation layer.

    Parameters
    ----------
    meaning
        ``"scribbles"``: 0 is unlabeled, 255 background. ``"mask"``: 0 is background.
        ``"objects"``: 0 is background, every other value is class 1.
    remapped
        Pairs (value, class) of values that stand for another class than their number; class 0 is
        the background, `UNLABELED` stands for none.

    Raises
    ------
    ValueError
        If the meaning is unknown or a value stands for two classes.
    """

    meaning: Meaning = "scribbles"
    remapped: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        pairs = tuple(sorted((int(value), int(k)) for value, k in self.remapped))
        object.__setattr__(self, "remapped", pairs)
        if self.meaning not in ("scribbles", "mask", "objects"):
            raise ValueError(f"{self.meaning!r} is no meaning; choose scribbles, mask or objects.")
        values = [value for value, _ in pairs]
        if len(set(values)) < len(values):
            raise ValueError(f"A value stands for two classes: {pairs}.")

    def class_of(self, value: int) -> int:
        """Return the class of a value; `UNLABELED` if it stands for none."""
        remapped = dict(self.remapped)
        if value in remapped:
            return remapped[value]
        if value < 0:
            return UNLABELED
        if value == 0:
            return UNLABELED if self.meaning == "scribbles" else 0
        if self.meaning == "objects":
            return 1
        return 0 if self.meaning == "scribbles" and value == BACKGROUND else value

    def value_of(self, k: int) -> int:
        """Return the value to paint class `k` with; class 0 is the background.

        Raises
        ------
        ValueError
            If no value stands for the class; `with_class` adds one.
        """
        default = BACKGROUND if k == 0 and self.meaning == "scribbles" else k
        for value in (default, *(value for value, _ in self.remapped)):
            if self.class_of(value) == k:
                return value
        raise ValueError(f"No value stands for class {k}.")

    def with_class(self, k: int) -> LabelRule:
        """Return the rule with an unused value for class `k`, if it has none yet.

        Instance labels are all of class 1: their rule cannot have other classes.

        Raises
        ------
        ValueError
            If all values are taken.
        """
        if self.meaning == "objects":
            return self
        taken = {value for value, _ in self.remapped}
        if any(self.class_of(value) == k for value in (k, *taken)):
            return self
        unused = next((value for value in range(k, BACKGROUND) if value not in taken), None)
        if unused is None:
            raise ValueError(too_many_classes(k))
        return replace(self, remapped=(*self.remapped, (unused, k)))

    def with_classes(self, count: int) -> LabelRule:
        """Return the rule with a value for each of the classes 1 to `count`.

        Raises
        ------
        ValueError
            If there are more classes than values.
        """
        rule = self
        for k in range(1, count + 1):
            rule = rule.with_class(k)
        return rule

    def without_class(self, k: int, classes: int) -> LabelRule:
        """Return the rule with class `k` removed and the classes above it renumbered.

        Pixels keep their values; values of the removed class are unlabeled from then on.

        Parameters
        ----------
        k
            Class to remove.
        classes
            Number of classes before, without the background.
        """
        values = {value for value, _ in self.remapped} | set(range(1, classes + 1))
        remapped = dict(self.remapped)
        for value in values:
            before = self.class_of(value)
            if before == k:
                remapped[value] = UNLABELED
            elif before > k:
                remapped[value] = before - 1
        return replace(self, remapped=tuple(remapped.items()))

    def to_dict(self) -> dict[str, object]:
        """Return the rule as layer metadata and autosaved files hold it."""
        return {"meaning": self.meaning, "moved": [list(pair) for pair in self.remapped]}

    @staticmethod
    def from_dict(entry: dict[str, object]) -> LabelRule:
        """Return the rule that `to_dict` described; ``remapped`` is accepted for ``moved``.

        Raises
        ------
        KeyError, TypeError, ValueError
            If the entry describes no rule.
        """
        pairs = entry["moved"] if "moved" in entry else entry["remapped"]
        remapped = tuple((int(value), int(k)) for value, k in pairs)  # type: ignore[attr-defined]
        return LabelRule(entry["meaning"], remapped)  # type: ignore[arg-type]


def target_of(labels: NDArray[np.generic], rule: LabelRule, classes: int) -> NDArray[np.int16]:
    """Return the class of each pixel, `UNLABELED` where it is unknown; same shape as `labels`.

    Parameters
    ----------
    labels
        Integers (or bool) of any shape.
    rule
        Classes of their values.
    classes
        Number of classes without the background.

    Raises
    ------
    LabelValueError
        If a value stands for no class.
    """
    if labels.dtype in (np.uint8, bool):
        return _target_of_bytes(labels.astype(np.uint8, copy=False), rule, classes)
    values, positions = np.unique(labels, return_inverse=True)
    class_by_value = np.array([rule.class_of(int(value)) for value in values], np.int64)
    _check(values, class_by_value, classes)
    return class_by_value.astype(np.int16)[positions].reshape(labels.shape)


def _target_of_bytes(labels: NDArray[np.uint8], rule: LabelRule, classes: int) -> NDArray[np.int16]:
    """Return the target of uint8 labels; a lookup table is ten times as fast as `np.unique`."""
    class_by_value = np.array([rule.class_of(value) for value in range(256)], np.int64)
    present = np.flatnonzero(np.bincount(labels.ravel(), minlength=256))
    _check(present, class_by_value[present], classes)
    return class_by_value.astype(np.int16)[labels]


def _check(values: NDArray[np.generic], class_by_value: NDArray[np.int64], classes: int) -> None:
    pairs = zip(values, class_by_value, strict=True)
    unknown = [int(value) for value, k in pairs if not UNLABELED <= k <= classes]
    if unknown:
        listed = ", ".join(map(str, unknown[:5])) + (" …" if len(unknown) > 5 else "")
        known = "class 1" if classes == 1 else f"classes 1 to {classes}"
        raise LabelValueError(
            f"The painted value {listed} stands for no class; there is {known}. Choose in the list "
            f"what the values mean, or add a class."
        )


def value_counts(labels: NDArray[np.generic]) -> dict[int, int]:
    """Return the number of pixels by value."""
    if labels.dtype in (np.uint8, bool):
        bins = np.bincount(labels.ravel().astype(np.uint8, copy=False))
        return {int(value): int(bins[value]) for value in np.flatnonzero(bins)}
    values, counts = np.unique(labels, return_counts=True)
    return {int(value): int(count) for value, count in zip(values, counts, strict=True)}
