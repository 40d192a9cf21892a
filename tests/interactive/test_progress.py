"""What the scores of versions say of further strokes."""

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
    painted = 5 * number if strokes is None else strokes
    return Version(number, how, model, painted, score, held_out, uncertainty=uncertainty)


def sitting(*scores, **given):
    """Return versions, the opened one first."""
    taught = [version(n, dice, **given) for n, dice in enumerate(scores, 2)]
    return [version(1, None, 0, 0, "opened"), *taught]


def told(versions, why=""):
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
def test_trends_in_words(scores, words):
    assert re.search(words, told(sitting(*scores)))


def test_without_a_score_it_says_why():
    assert told(sitting()) == ""
    assert told(sitting(None), "Paint more.") == (
        "Whether strokes help cannot be judged yet. Paint more."
    )
    assert progress_message([], None) == ""


def test_scores_of_other_pixels_are_said_to_be():
    versions = [version(n, 0.5 + n / 10, held_out=300 * n) for n in (1, 2, 3)]
    assert "different held-out pixels (300, 600, 900)" in told(versions)
    assert "chance" not in told(versions)
    assert "Measured on 1,000 held-out pixels." in told(sitting(0.5, 0.6))
    assert "leave much to chance" in told(sitting(0.5, 0.6, held_out=120))


def test_doubt_is_told_where_both_ends_have_it():
    versions = sitting(0.5, 0.6, 0.7, uncertainty=0.3)
    assert "Mean uncertainty there: 0.30 → 0.30." in told(versions)
    assert "doubt" not in told([*versions, version(9, 0.8, how="live")])


def test_training_again_on_the_same_strokes_or_one_more_is_no_step():
    strokes = (10, 10, 11, 12, 13, 15, 16)
    versions = [version(n, 0.5 + n / 50, each) for n, each in enumerate(strokes, 1)]
    assert [each.strokes for each in compared_versions(versions, versions[-1])] == [10, 13, 16]
    assert compared_versions(versions, versions[-1])[0] is versions[1]
    assert told(versions[:3]).startswith("Dice 0.56 on")


def test_masks_grow_by_what_is_held_out():
    versions = [version(n, 0.5 + n / 50, 0, held_out=1000 + 150 * n) for n in range(1, 6)]
    assert [each.held_out for each in compared_versions(versions, versions[-1])] == [
        1150,
        1450,
        1750,
    ]


def test_only_what_led_to_the_current_version_counts():
    first = sitting(0.6, 0.7)
    reopened = [*first, version(4, None, 0, 0, "opened"), version(5, 0.9), version(6, 0.95)]
    assert [each.number for each in compared_versions(reopened, reopened[-1])] == [5, 6]
    assert [each.number for each in compared_versions(reopened, first[-1])] == [2, 3]
    more = [*first, version(4, 0.2, classes=2)]
    assert [each.number for each in compared_versions(more, more[-1])] == [4]


@given(
    st.lists(
        st.tuples(st.none() | st.floats(0, 1), st.integers(0, 30), st.integers(1, 400)), max_size=9
    )
)
def test_any_sitting_has_words_that_fit_its_scores(drawn):
    versions = [version(n, *each) for n, each in enumerate(drawn, 1)]
    current = versions[-1] if versions else None
    steps, said = compared_versions(versions, current), progress_message(versions, current)
    scores = [each.score.dice for each in steps]
    assert len(steps) <= 3
    assert [each.number for each in steps] == sorted(each.number for each in steps)
    for a, b in pairwise(steps):
        assert b.strokes >= GROWTH * a.strokes or b.held_out >= GROWTH * a.held_out
    assert all(f"{each:.2f}" in said for each in scores)
    assert ("predicted correctly" in said) == (bool(scores) and scores[-1] >= PERFECT)
    if len(scores) > 1 and scores[-1] < PERFECT:
        best = max(scores[:-1])
        assert ("rising" in said) == (scores[-1] > best + RISE)
        assert ("fallen" in said) == (scores[-1] < best - FALL)
        plateau = len(scores) == 3 and best <= scores[0] + RISE
        flat = best - FALL <= scores[-1] <= best + RISE
        assert ("change little" in said) == (plateau and flat)
