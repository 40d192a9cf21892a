"""Whether further strokes still help, in plain words, from the versions of a sitting."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_emcad.interactive.versions import Version

RISE = 0.01
"""Dice by which a score has to rise to have risen."""

FALL = 0.03
"""Dice by which a score has to fall to have fallen: held-out strokes are few."""

GROWN = 1.2
"""Times as many strokes, or held-out pixels of a mask, make a step: one stroke tells nothing."""

PERFECT = 0.995
"""Dice at which what is held out can tell no more."""

_LOOKED_AT = 3
_FEW = 200
"""Held-out pixels of which a score leaves much to chance."""


def progress_message(
    versions: Sequence[Version], current: Version | None, why_no_score: str = ""
) -> str:
    """Return what the scores on held-out strokes say of further strokes.

    Parameters
    ----------
    versions
        Of the sitting, oldest first.
    current
        The one in use; those that came later do not count.
    why_no_score
        Why what is held out says nothing yet; "" if it does.

    Returns
    -------
    str
        "" where nothing was taught and nothing stands in the way of a score.
    """
    steps = compared_versions(versions, current)
    if not steps:
        return f"Whether strokes help cannot be told yet. {why_no_score}" if why_no_score else ""
    if len(steps) == 1 and _score(steps[0]) < PERFECT:
        return (
            f"Dice {_dice(steps)} on {steps[0].held_out:,} held-out pixels; whether strokes help "
            f"is told once there are a fifth more."
        )
    said = [_trend(steps), _pixels(steps), _doubt(steps)]
    return " ".join(each for each in said if each)


def compared_versions(versions: Sequence[Version], current: Version | None) -> list[Version]:
    """Return the versions whose scores are compared, oldest first; three at most.

    They come of one opened model, have as many classes as the last one, and each was taught with a
    fifth more paint than the one before: others say nothing of more strokes.
    """
    if current is None:
        return []
    before = [each for each in versions if each.number <= current.number]
    opened = [n for n, each in enumerate(before) if each.how == "opened"]
    classes = len(current.checkpoint.classes)
    steps: list[Version] = []
    for each in reversed(before[max(opened, default=0) :]):
        comparable = each.score is not None and len(each.checkpoint.classes) == classes
        if comparable and (not steps or _grown(each, steps[-1])):
            steps.append(each)
    return steps[:_LOOKED_AT][::-1]


def _grown(before: Version, after: Version) -> bool:
    """Whether there is a step's more paint; a mask has no strokes, and is held out by its size."""
    pairs = (before.strokes, after.strokes), (before.held_out, after.held_out)
    return any(b > a and b >= GROWN * a for a, b in pairs)


def _score(version: Version) -> float:
    return 0.0 if version.score is None else version.score.dice


def _trend(steps: Sequence[Version]) -> str:
    scores = [_score(each) for each in steps]
    now, best = scores[-1], max(scores[:-1], default=0.0)
    if now >= PERFECT:
        return (
            f"What is held out is right already ({_dice(steps)}): strokes where the model is wrong "
            f"teach and tell more."
        )
    if now > best + RISE:
        return f"Still rising: {_dice(steps)} on held-out strokes."
    if now < best - FALL:
        number = steps[scores.index(best)].number
        return (
            f"The score has fallen ({_dice(steps)}): look at the last strokes again, or use "
            f"version {number}."
        )
    if len(scores) == _LOOKED_AT and best <= scores[0] + RISE:
        said = ", ".join(f"{each:.2f}" for each in scores)
        return (
            f"The score has not risen over the last three steps ({said}), each with a fifth more "
            f"strokes: more of this kind will change little."
        )
    return f"The last strokes did not raise the score ({_dice(steps)}); one step says little yet."


def _pixels(steps: Sequence[Version]) -> str:
    counts = [each.held_out for each in steps]
    few = " So few leave much to chance." * (min(counts) < _FEW)
    if len(set(counts)) == 1:
        return f"Measured on {counts[0]:,} held-out pixels.{few}"
    listed = ", ".join(f"{each:,}" for each in counts)
    return f"Measured on different held-out pixels ({listed}), so compare roughly.{few}"


def _doubt(steps: Sequence[Version]) -> str:
    first, last = steps[0].doubt, steps[-1].doubt
    if first is None or last is None:
        return ""
    return f"Mean doubt there: {first:.2f} → {last:.2f}."


def _dice(steps: Sequence[Version]) -> str:
    return " → ".join(f"{_score(each):.2f}" for each in steps)
