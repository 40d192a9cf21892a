"""Floor 4: whether further strokes still help, in plain words, from the versions of a sitting."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_emcad.versions import Version

RISE = 0.01
"""Dice by which a score has to rise to have risen."""

FALL = 0.03
"""Dice by which a score has to fall to have fallen: held-out strokes are few."""

_LOOKED_AT = 3
_FEW = 200
"""Held-out pixels of which a score leaves much to chance."""


def headway(versions: Sequence[Version], current: Version | None, why_no_score: str = "") -> str:
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
    steps = steps_of(versions, current)
    if not steps:
        return f"Whether strokes help cannot be told yet. {why_no_score}" if why_no_score else ""
    if len(steps) == 1:
        return (
            f"One score so far, {_dice(steps)} on {steps[0].held_out:,} held-out pixels; whether "
            f"more strokes help is told from the next one on."
        )
    said = [_trend(steps), _pixels(steps), _doubt(steps)]
    return " ".join(each for each in said if each)


def steps_of(versions: Sequence[Version], current: Version | None) -> list[Version]:
    """Return the versions whose scores are compared, oldest first; three at most.

    They come of one opened model and have as many classes as the current one. Of several that
    were taught with the same paint it is the last: the others say nothing of more strokes.
    """
    if current is None:
        return []
    before = [each for each in versions if each.number <= current.number]
    opened = [n for n, each in enumerate(before) if each.how == "opened"]
    classes = len(current.checkpoint.classes)
    steps: dict[tuple[int, int], Version] = {}
    for each in before[max(opened, default=0) :]:
        if each.score is not None and len(each.checkpoint.classes) == classes:
            paint = each.strokes, each.held_out
            steps.pop(paint, None)
            steps[paint] = each
    return list(steps.values())[-_LOOKED_AT:]


def _trend(steps: Sequence[Version]) -> str:
    scores = [each.score.dice for each in steps if each.score is not None]
    now, best = scores[-1], max(scores[:-1])
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
            f"The score has not risen over the last three versions with new strokes ({said}): more "
            f"strokes of this kind will change little."
        )
    return f"The last strokes did not raise the score ({_dice(steps)}); one step says little yet."


def _pixels(steps: Sequence[Version]) -> str:
    counts = [each.held_out for each in steps]
    few = " So few leave much to chance." * (min(counts) < _FEW)
    if len(set(counts)) == 1:
        return f"Each is of {counts[0]:,} held-out pixels.{few}"
    listed = ", ".join(f"{each:,}" for each in counts)
    return f"They are of different held-out pixels ({listed}), so compare them roughly.{few}"


def _doubt(steps: Sequence[Version]) -> str:
    first, last = steps[0].doubt, steps[-1].doubt
    if first is None or last is None:
        return ""
    return f"Mean doubt there: {first:.2f} → {last:.2f}."


def _dice(steps: Sequence[Version]) -> str:
    return " → ".join(f"{each.score.dice:.2f}" for each in steps if each.score is not None)
