"""A message on whether further strokes still improve the model, from the scores of versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_emcad.interactive.versions import Version

RISE = 0.01
"""Difference of Dice from which a score has risen."""

FALL = 0.03
"""Difference of Dice from which a score has fallen; larger, because held-out strokes are few."""

GROWTH = 1.2
"""Factor on strokes (or held-out pixels of a mask) between versions that are compared."""

PERFECT = 0.995
"""Dice from which held-out pixels cannot show any improvement."""

_MOST_COMPARED = 3

_FEW_PIXELS = 200
"""Number of held-out pixels below which a score depends much on chance."""


def progress_message(
    versions: Sequence[Version], current: Version | None, why_no_score: str = ""
) -> str:
    """Return what the scores on held-out pixels say about further strokes.

    Parameters
    ----------
    versions
        All versions, oldest first.
    current
        Version in use; later ones do not count.
    why_no_score
        Reason why held-out pixels give no score yet; "" if they do.

    Returns
    -------
    str
        "" if nothing was trained and nothing prevents a score.
    """
    compared = compared_versions(versions, current)
    if not compared:
        if why_no_score:
            return f"Whether strokes help cannot be judged yet. {why_no_score}"
        return ""
    if len(compared) == 1 and _dice(compared[0]) < PERFECT:
        return (
            f"Dice {_dice_list(compared)} on {compared[0].held_out:,} held-out pixels; after a "
            f"fifth more strokes it will show whether they help."
        )
    parts = [_trend(compared), _pixels(compared), _uncertainty(compared)]
    return " ".join(filter(None, parts))


def compared_versions(versions: Sequence[Version], current: Version | None) -> list[Version]:
    """Return the versions whose scores are compared, oldest first; three at most.

    They descend from one opened model, have as many classes as the current version, and were
    trained with at least a fifth more annotation than the version before.
    """
    if current is None:
        return []
    before = [version for version in versions if version.number <= current.number]
    opened = [n for n, version in enumerate(before) if version.how == "opened"]
    classes = len(current.checkpoint.classes)
    compared: list[Version] = []
    for version in reversed(before[max(opened, default=0) :]):
        comparable = version.score is not None and len(version.checkpoint.classes) == classes
        if comparable and (not compared or _has_grown(version, compared[-1])):
            compared.append(version)
    return compared[:_MOST_COMPARED][::-1]


def _has_grown(before: Version, after: Version) -> bool:
    """Return whether there are a fifth more strokes, or held-out pixels (masks have no strokes)."""
    pairs = (before.strokes, after.strokes), (before.held_out, after.held_out)
    return any(b > a and b >= GROWTH * a for a, b in pairs)


def _dice(version: Version) -> float:
    return 0.0 if version.score is None else version.score.dice


def _trend(compared: Sequence[Version]) -> str:
    scores = [_dice(version) for version in compared]
    now, best = scores[-1], max(scores[:-1], default=0.0)
    if now >= PERFECT:
        return (
            f"All held-out pixels are predicted correctly ({_dice_list(compared)}): paint where "
            f"the model is wrong."
        )
    if now > best + RISE:
        return f"Still rising: {_dice_list(compared)} on held-out strokes."
    if now < best - FALL:
        number = compared[scores.index(best)].number
        return (
            f"The score has fallen ({_dice_list(compared)}): check the last strokes, or use "
            f"version {number}."
        )
    if len(scores) == _MOST_COMPARED and best <= scores[0] + RISE:
        listed = ", ".join(f"{score:.2f}" for score in scores)
        return (
            f"The score has not risen over the last three steps ({listed}), with a fifth more "
            f"strokes at every step: more strokes of this kind will change little."
        )
    return (
        f"The last strokes did not raise the score ({_dice_list(compared)}); one step alone is not "
        f"conclusive."
    )


def _pixels(compared: Sequence[Version]) -> str:
    counts = [version.held_out for version in compared]
    few = " So few pixels leave much to chance." if min(counts) < _FEW_PIXELS else ""
    if len(set(counts)) == 1:
        return f"Measured on {counts[0]:,} held-out pixels.{few}"
    listed = ", ".join(f"{count:,}" for count in counts)
    return f"Measured on different held-out pixels ({listed}), so compare roughly.{few}"


def _uncertainty(compared: Sequence[Version]) -> str:
    first, last = compared[0].uncertainty, compared[-1].uncertainty
    if first is None or last is None:
        return ""
    return f"Mean uncertainty there: {first:.2f} → {last:.2f}."


def _dice_list(compared: Sequence[Version]) -> str:
    return " → ".join(f"{_dice(version):.2f}" for version in compared)
