"""Guess the label rule of layers and masks that were made elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_emcad.annotation.label_rules import BACKGROUND, MOST_CLASSES, UNLABELED, LabelRule
from napari_emcad.annotation.mask_values import are_gray_levels, has_void

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_emcad.annotation.label_rules import Meaning

_LISTED = 4
"""Largest number of values that a message lists."""

_CERTAINLY_INSTANCES = 20
"""Number of values above the classes from which labels are certainly instance labels."""

_VOID = ((BACKGROUND, UNLABELED),)
_VOID_REASON = "255 is ignored, as “void”."

_MASK_OF_255 = "A mask of 0 and 255; its 255 is class 1."


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
    values = {value for value, count in counts.items() if count and value > 0}
    if not values:
        return DetectedRule(LabelRule(), certain=True, reason="Nothing is annotated yet.")
    if values == {BACKGROUND} and classes < BACKGROUND:
        rule = LabelRule("mask", ((BACKGROUND, 1),))
        return DetectedRule(rule, certain=True, reason=_MASK_OF_255)
    if max(values) > classes and are_gray_levels(values):
        return _mask_in_order(values) or DetectedRule(LabelRule("mask"), certain=False, reason="")
    above = {value for value in values if value > classes}
    if not above:
        reason = "0 may be background (a mask) or unlabeled (scribbles)."
        return DetectedRule(LabelRule("mask"), certain=0 not in counts, reason=reason)
    if above == {BACKGROUND}:
        reason = "255 beside classes is read as background, 0 as unlabeled (scribbles)."
        return DetectedRule(LabelRule("scribbles"), certain=False, reason=reason)
    void = has_void(values, classes)
    largest = max(values - {BACKGROUND}) if void else max(values)
    reason = f"Values up to {largest} are read as single objects, all of class 1."
    rule = LabelRule("objects", _VOID) if void else LabelRule("objects")
    certain = len(above) >= _CERTAINLY_INSTANCES
    return DetectedRule(
        rule, certain=certain, reason=f"{reason} {_VOID_REASON}" if void else reason
    )


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
    values = {value for value, count in counts.items() if count and value > 0}
    void = has_void(values, classes)
    if meaning == "objects":
        kept = LabelRule("objects", _VOID) if void else LabelRule("objects")
        return DetectedRule(kept, certain=True, reason=_VOID_REASON if void else "")
    remapped = tuple((value, k) for value, k in rule.remapped if value != BACKGROUND)
    if meaning == "mask" and values == {BACKGROUND}:
        with_255 = LabelRule("mask", (*remapped, (BACKGROUND, 1)))
        return DetectedRule(with_255, certain=True, reason=_MASK_OF_255)
    if meaning == "mask" and void:
        others = dict.fromkeys(values - {BACKGROUND}, 1)
        mask = change_meaning(rule, "mask", others, classes)
        with_void = replace(mask.rule, remapped=(*mask.rule.remapped, *_VOID))
        return DetectedRule(with_void, certain=True, reason=f"{mask.reason} {_VOID_REASON}".strip())
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
