"""Messages on whether more strokes help, from the scores of versions."""

from __future__ import annotations

import re
from itertools import pairwise
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_emcad.interactive.progress import (
    FALL,
    GROWTH,
    PERFECT,
    RISE,
    compared_versions,
    progress_message,
)
from napari_emcad.interactive.versions import Version
from napari_emcad.training.events import HeldOut


def version(number, dice, strokes=None, held_out=1000, how="trained", uncertainty=None, classes=1):
    score = None if dice is None else HeldOut(dice, dice)
    model = SimpleNamespace(classes=("x",) * classes, tensors={})
    stroke_count = 5 * number if strokes is None else strokes
    return Version(number, how, model, stroke_count, score, held_out, uncertainty=uncertainty)


def versions_with_scores(*scores, **given):
    """Return versions with these Dice scores, after the opened one."""
    trained = [version(n, dice, **given) for n, dice in enumerate(scores, 2)]
    return [version(1, None, 0, 0, "opened"), *trained]


def hint_for(versions, why=""):
    return progress_message(versions, versions[-1], why)


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        ((0.62,), "Dice 0.62 on 1,000 held-out pixels; after a fifth more strokes"),
        ((0.998,), r"predicted correctly \(1.00\): paint where the model is wrong"),
        ((0.9, 0.998), r"predicted correctly \(0.90 → 1.00\)"),
        ((0.62, 0.74, 0.81), "Still rising: 0.62 → 0.74 → 0.81 on held-out strokes."),
        ((0.5, 0.62, 0.74, 0.81), "Still rising: 0.62 → 0.74 → 0.81"),
        ((0.84, 0.85, 0.84), r"not risen over the last three steps \(0.84, 0.85, 0.84\)"),
        ((0.84, 0.85, 0.84), "more strokes of this kind will change little"),
        (
            (0.84, 0.84),
            r"did not raise the score \(0.84 → 0.84\); one step alone is not conclusive",
        ),
        ((0.60, 0.84, 0.84), "did not raise the score"),
        ((0.84, 0.70), "fallen .*use version 2"),
        ((0.70, 0.84, 0.70), "fallen .*use version 3"),
    ],
)
def test_messages_describe_the_trend_of_the_scores(scores, words):
    assert re.search(words, hint_for(versions_with_scores(*scores)))


def test_a_missing_score_gives_the_reason():
    assert hint_for(versions_with_scores()) == ""
    assert hint_for(versions_with_scores(None), "Paint more.") == (
        "Whether strokes help cannot be judged yet. Paint more."
    )
    assert progress_message([], None) == ""


def test_scores_on_different_held_out_pixels_are_marked():
    versions = [version(n, 0.5 + n / 10, held_out=300 * n) for n in (1, 2, 3)]
    assert "different held-out pixels (300, 600, 900)" in hint_for(versions)
    assert "chance" not in hint_for(versions)
    assert "Measured on 1,000 held-out pixels." in hint_for(versions_with_scores(0.5, 0.6))
    assert "leave much to chance" in hint_for(versions_with_scores(0.5, 0.6, held_out=120))


def test_the_mean_uncertainty_is_shown_if_both_versions_have_it():
    versions = versions_with_scores(0.5, 0.6, 0.7, uncertainty=0.3)
    assert "Mean uncertainty there: 0.30 → 0.30." in hint_for(versions)
    assert "doubt" not in hint_for([*versions, version(9, 0.8, how="live")])


def test_versions_with_hardly_more_strokes_are_not_compared():
    strokes = (10, 10, 11, 12, 13, 15, 16)
    versions = [
        version(n, 0.5 + n / 50, strokes_so_far) for n, strokes_so_far in enumerate(strokes, 1)
    ]
    assert [version.strokes for version in compared_versions(versions, versions[-1])] == [
        10,
        13,
        16,
    ]
    assert compared_versions(versions, versions[-1])[0] is versions[1]
    assert hint_for(versions[:3]).startswith("Dice 0.56 on")


def test_the_growth_of_masks_is_measured_by_held_out_pixels():
    versions = [version(n, 0.5 + n / 50, 0, held_out=1000 + 150 * n) for n in range(1, 6)]
    assert [version.held_out for version in compared_versions(versions, versions[-1])] == [
        1150,
        1450,
        1750,
    ]


def test_only_ancestors_of_the_current_version_are_compared():
    first = versions_with_scores(0.6, 0.7)
    reopened = [*first, version(4, None, 0, 0, "opened"), version(5, 0.9), version(6, 0.95)]
    assert [version.number for version in compared_versions(reopened, reopened[-1])] == [5, 6]
    assert [version.number for version in compared_versions(reopened, first[-1])] == [2, 3]
    more = [*first, version(4, 0.2, classes=2)]
    assert [version.number for version in compared_versions(more, more[-1])] == [4]


@given(
    st.lists(
        st.tuples(st.none() | st.floats(0, 1), st.integers(0, 30), st.integers(1, 400)), max_size=9
    )
)
def test_the_message_agrees_with_any_scores(drawn):
    versions = [version(n, *drawn_values) for n, drawn_values in enumerate(drawn, 1)]
    current = versions[-1] if versions else None
    steps, message = compared_versions(versions, current), progress_message(versions, current)
    scores = [version.score.dice for version in steps]
    assert len(steps) <= 3
    assert [version.number for version in steps] == sorted(version.number for version in steps)
    for a, b in pairwise(steps):
        assert b.strokes >= GROWTH * a.strokes or b.held_out >= GROWTH * a.held_out
    assert all(f"{score:.2f}" in message for score in scores)
    assert ("predicted correctly" in message) == (bool(scores) and scores[-1] >= PERFECT)
    if len(scores) > 1 and scores[-1] < PERFECT:
        best = max(scores[:-1])
        assert ("rising" in message) == (scores[-1] > best + RISE)
        assert ("fallen" in message) == (scores[-1] < best - FALL)
        plateau = len(scores) == 3 and best <= scores[0] + RISE
        flat = best - FALL <= scores[-1] <= best + RISE
        assert ("change little" in message) == (plateau and flat)
