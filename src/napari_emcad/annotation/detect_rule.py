"""Guess the label rule of layers and masks that were made elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_emcad.annotation.label_rules import BACKGROUND, MOST_CLASSES, LabelRule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from napari_emcad.annotation.label_rules import Meaning

_LISTED = 4
"""Largest number of values that a message lists."""

_CERTAINLY_INSTANCES = 20
"""Number of values above the classes from which labels are certainly instance labels."""

_MASK_OF_255 = "A mask of 0 and 255; its 255 is class 1."

_FEWEST_INSTANCES, _PROBABLY_INSTANCES, _CONNECTED = 3, 5, 0.9
"""Highest value from which labels may be, and probably are, instance labels; the share of values
that must be one connected component."""


@dataclass(frozen=True, slots=True)
class DetectedRule:
    """The probable label rule of a layer.

    Attributes
    ----------
    rule
        Most plausible rule.
    certain
        Whether no other rule is plausible; if not, the user should check it.
    reason
        Explanation for the user; "" if there is nothing to explain.
    """

    rule: LabelRule
    certain: bool
    reason: str


def detect_rule(counts: Mapping[int, int], classes: int) -> DetectedRule:
    """Return the probable rule of a layer that was made elsewhere.

    Parameters
    ----------
    counts
        Number of pixels by value.
    classes
        Number of classes of the network without the background.
    """
    values = {value for value, count in counts.items() if count and value != 0}
    if not values:
        return DetectedRule(LabelRule(), certain=True, reason="Nothing is annotated yet.")
    if values == {BACKGROUND} and classes < BACKGROUND:
        rule = LabelRule("mask", ((BACKGROUND, 1),))
        return DetectedRule(rule, certain=True, reason=_MASK_OF_255)
    if max(values) > classes and _are_gray_levels(values):
        return _mask_in_order(values) or DetectedRule(LabelRule("mask"), certain=False, reason="")
    above = {value for value in values if value > classes}
    if not above:
        reason = "0 may be background (a mask) or unlabeled (scribbles)."
        return DetectedRule(LabelRule("mask"), certain=0 not in counts, reason=reason)
    if above == {BACKGROUND}:
        reason = "255 beside classes is read as background, 0 as unlabeled (scribbles)."
        return DetectedRule(LabelRule("scribbles"), certain=False, reason=reason)
    reason = f"Values up to {max(values)} are read as single objects, all of class 1."
    certain = len(above) >= _CERTAINLY_INSTANCES
    return DetectedRule(LabelRule("objects"), certain=certain, reason=reason)


def change_meaning(
    rule: LabelRule, meaning: Meaning, counts: Mapping[int, int], classes: int
) -> DetectedRule:
    """Return the rule of a layer after the user chose another meaning for its values.

    Parameters
    ----------
    rule
        Rule before.
    meaning
        Chosen meaning.
    counts
        Number of pixels by value.
    classes
        Number of classes without the background.
    """
    values = {value for value, count in counts.items() if count and value != 0}
    if meaning == "objects":
        return DetectedRule(LabelRule("objects"), certain=True, reason="")
    remapped = tuple((value, k) for value, k in rule.remapped if value != BACKGROUND)
    if meaning == "mask" and values == {BACKGROUND}:
        with_255 = LabelRule("mask", (*remapped, (BACKGROUND, 1)))
        return DetectedRule(with_255, certain=True, reason=_MASK_OF_255)
    changed = LabelRule(meaning, remapped)
    if meaning == "mask" and any(changed.class_of(value) > classes for value in values):
        return _mask_in_order(values) or DetectedRule(changed, certain=False, reason="")
    if meaning == "scribbles" and BACKGROUND in values:
        before = rule.class_of(BACKGROUND)
        instead = f" instead of class {before}" if before > 0 else ""
        reason = f"255 is background now{instead}, and 0 is unlabeled, as in all scribbles."
        return DetectedRule(changed, certain=True, reason=reason)
    return DetectedRule(changed, certain=True, reason="")


def _mask_in_order(values: set[int]) -> DetectedRule | None:
    """Return a mask whose sorted values are classes 1, 2, …; None if there are too many."""
    if len(values) > MOST_CLASSES:
        return None
    numbered = [(value, k) for k, value in enumerate(sorted(values), start=1)]
    remapped = tuple((value, k) for value, k in numbered if value != k)
    listed = ", ".join(f"{value} is class {k}" for value, k in numbered[:_LISTED])
    end = " …" if len(numbered) > _LISTED else "."
    reason = f"A mask; in the order of its values {listed}{end}"
    return DetectedRule(LabelRule("mask", remapped), certain=not remapped, reason=reason)


def _are_gray_levels(values: set[int]) -> bool:
    """Return whether values divide 0 … 255 evenly, as in masks that are made to be viewed."""
    step = BACKGROUND / len(values)
    even = (abs(value - k * step) <= 1 for k, value in enumerate(sorted(values), start=1))
    return len(values) <= _CERTAINLY_INSTANCES and all(even)


@dataclass(frozen=True, slots=True)
class MaskValues:
    """Values of a mask and how many of them are connected.

    Attributes
    ----------
    values
        Values above 0 in ascending order.
    connected
        Number of values whose pixels are one connected component.
    """

    values: tuple[int, ...]
    connected: int


def mask_values(labels: NDArray[np.generic]) -> MaskValues:
    """Return the values of a mask; pixels that share a side are connected."""
    values, positions = np.unique(labels, return_inverse=True)
    numbered = positions.reshape(labels.shape) + 1
    boxes = ndimage.find_objects(numbered)
    positive = [number for number, value in enumerate(values.tolist(), start=1) if value > 0]
    components = [int(ndimage.label(numbered[boxes[n - 1]] == n)[1]) for n in positive]
    return MaskValues(tuple(int(values[n - 1]) for n in positive), components.count(1))


def look_like_instances(masks: Iterable[MaskValues]) -> bool:
    """Return whether the values of masks seem to number objects rather than classes.

    They do if nearly every value is one connected component and the highest value differs between
    masks.
    """
    filled = [mask for mask in masks if mask.values]
    count = sum(len(mask.values) for mask in filled)
    highest = {mask.values[-1] for mask in filled}
    if not filled or max(highest) < _FEWEST_INSTANCES or count < 2 * len(filled):
        return False
    differ = len(highest) > 1 or max(highest) >= _PROBABLY_INSTANCES
    return differ and sum(mask.connected for mask in filled) >= _CONNECTED * count
