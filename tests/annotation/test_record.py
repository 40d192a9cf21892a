"""Held-out pixels are never trained on, whatever strokes are drawn, erased and redrawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.annotation.record import HOLD_OUT_EVERY, Record

SHAPE = (40, 60)


def unlabeled():
    return np.full(SHAPE, UNLABELED, np.int16)


def with_strokes(target, k, first, count):
    """Draw separate strokes of 2 × 2 pixels of class k; return the target."""
    for i in range(first, first + count):
        y, x = divmod(i, 14)
        target[4 * y : 4 * y + 2, 4 * x : 4 * x + 2] = k
    return target


EDITS = st.lists(
    st.lists(
        st.tuples(
            st.integers(0, 36), st.integers(0, 56), st.integers(1, 20), st.integers(UNLABELED, 2)
        ),
        max_size=6,
    ),
    min_size=1,
    max_size=6,
)


@settings(deadline=None)
@given(EDITS, st.booleans())
def test_a_training_pixel_is_never_held_out_while_it_keeps_its_value(edits, masks):
    record, target = Record(), unlabeled()
    learned = np.zeros(SHAPE, bool)
    for strokes in edits:
        before = target.copy()
        for y, x, side, k in strokes:
            target[y : y + 3, x : x + side] = k
        learned &= target == before
        record = record.updated({"a": target.copy()}, "a" if masks else "")
        patch = record.patches["a"]
        assert np.array_equal(patch.target, target)
        assert not (patch.held_out & learned).any()
        assert not (patch.held_out & (target == UNLABELED)).any()
        both = (patch.training_target() != UNLABELED) & (patch.validation_target() != UNLABELED)
        assert not both.any()
        learned |= patch.training_target() != UNLABELED
        assert np.array_equal(patch.scan > 0, target != UNLABELED)


def test_every_fifth_stroke_of_a_class_is_held_out_across_patches():
    record = Record().updated(
        {"a": with_strokes(unlabeled(), 1, 0, 7), "b": with_strokes(unlabeled(), 1, 0, 8)}
    )
    assert record.strokes == {1: 15}
    assert sum(record.held_out_counts.values()) == 3 * 4
    assert record.held_out_counts[1] * HOLD_OUT_EVERY == record.pixel_counts[1]


def test_a_growing_stroke_keeps_its_assignment():
    target = with_strokes(unlabeled(), 1, 0, HOLD_OUT_EVERY)
    record = Record().updated({"a": target})
    held_out = record.patches["a"].held_out.copy()
    target = target.copy()
    target[0:2, :] = 1  # joins all of them
    grown = record.updated({"a": target}).patches["a"].held_out
    assert grown[held_out].all()


def test_new_pixels_are_those_of_the_last_update():
    record = Record().updated({"a": with_strokes(unlabeled(), 1, 0, 2)}, every=0)
    record = record.updated({"a": with_strokes(unlabeled(), 1, 0, 3)}, every=0)
    assert record.new_pixels("a").sum() == 4
    assert not record.updated({"a": with_strokes(unlabeled(), 1, 0, 3)}).new_pixels("a").any()


def test_erased_strokes_and_removed_patches_are_forgotten():
    record = Record().updated({"a": with_strokes(unlabeled(), 1, 0, 9)}).updated({"a": unlabeled()})
    assert record.pixel_counts == {}
    assert record.updated({}).patches == {}


def test_masks_are_held_out_in_blocks_of_every_class():
    rng = np.random.default_rng(0)
    mask = (rng.random((100, 100)) < 0.3).astype(np.int16)
    record = Record().updated({"a": mask}, masks={"a"})
    held_out = record.patches["a"].held_out
    assert held_out.mean() == pytest.approx(1 / HOLD_OUT_EVERY, abs=0.05)
    assert set(record.held_out_counts) == {0, 1}
    assert not Record().updated({"a": mask}, masks={"a"}, every=0).patches["a"].held_out.any()


def test_a_score_needs_strokes_of_every_class():
    few = Record().updated({"a": with_strokes(unlabeled(), 1, 0, HOLD_OUT_EVERY)})
    assert "second class" in few.why_no_score()
    more = few.updated(
        {"a": with_strokes(with_strokes(unlabeled(), 1, 0, HOLD_OUT_EVERY), 0, 20, 2)}
    )
    assert "at least 5 strokes" in more.why_no_score()
    enough = more.updated(
        {"a": with_strokes(with_strokes(unlabeled(), 1, 0, HOLD_OUT_EVERY), 0, 20, HOLD_OUT_EVERY)}
    )
    assert enough.why_no_score() == ""


def test_pixels_are_counted_once_by_the_update(monkeypatch):
    target = with_strokes(with_strokes(unlabeled(), 1, 0, 10), 0, 10, 10)
    record = Record().updated({"a": target, "b": target})
    monkeypatch.setattr(np, "unique", None)
    validated = record.patches["a"].validation_target(), record.patches["b"].validation_target()
    for k in (0, 1):
        assert record.pixel_counts[k] == 2 * int((target == k).sum())
        assert record.held_out_counts[k] == sum(int((target == k).sum()) for target in validated)
    assert not record.why_no_score()


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"),
            st.integers(0, 36),
            st.integers(0, 56),
            st.integers(1, 60),
            st.integers(UNLABELED, 2),
            st.sampled_from(["teach", "look", "wait", "leave", "return", "forget class"]),
        ),
        min_size=1,
        max_size=40,
    ),
    st.booleans(),
    st.booleans(),
)
def test_no_pixel_is_both_trained_on_and_held_out_after_any_edits(acts, masks, always):
    """Two patches of one image are annotated, erased, redrawn, removed and added again."""
    record, locations = Record(), {"a": "here", "b": "here"}
    targets, present = {"a": unlabeled(), "b": unlabeled()}, {"a", "b"}
    learned, validated = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    for key, y, x, side, k, then in acts:
        targets[key][y : y + 3, x : x + side] = k
        if then == "leave":
            present.discard(key)
        if then == "return":
            present.add(key)
        if then == "wait":
            continue
        if then == "forget class" and k == 2:
            record = record.without_class(2)
            for target in targets.values():
                target[target == 2] = UNLABELED
        targets_now = {other: targets[other].copy() for other in sorted(present)}
        record = record.updated(targets_now, present if masks else (), locations=locations)
        if then == "teach" or always:
            record = record.frozen_split()
            for patch in record.patches.values():
                learned |= patch.training_target() != UNLABELED
                validated |= patch.validation_target() != UNLABELED
        both = np.zeros((2, *SHAPE), bool)
        for other, patch in record.patches.items():
            assert np.array_equal(patch.target, targets[other])
            both[0] |= patch.training_target() != UNLABELED
            both[1] |= patch.validation_target() != UNLABELED
        assert not both.all(0).any()
        assert not (both[1] & learned).any()
        assert not (both[0] & validated).any()


def test_an_edit_undone_before_training_leaves_no_assignment():
    everything = np.full(SHAPE, 1, np.int16)
    record = Record()
    for _ in range(HOLD_OUT_EVERY):  # every update draws again
        record = record.updated({"a": everything}).updated({"a": unlabeled()})
    assert not record.split_masks["a"].assigned().any()
    assert record.updated(
        {"a": with_strokes(unlabeled(), 0, 0, HOLD_OUT_EVERY)}
    ).held_out_counts == {0: 4}


def test_a_stroke_over_most_of_a_patch_is_held_out_in_part():
    record = Record(strokes={1: HOLD_OUT_EVERY - 1}).updated({"a": np.full(SHAPE, 1, np.int16)})
    assert record.patches["a"].held_out.mean() == pytest.approx(1 / HOLD_OUT_EVERY, abs=0.05)


def test_strokes_on_training_pixels_give_a_reason_for_the_missing_score():
    both = with_strokes(with_strokes(unlabeled(), 1, 0, HOLD_OUT_EVERY - 1), 0, 20, HOLD_OUT_EVERY)
    record = Record().updated({"a": both}).frozen_split().updated({"a": unlabeled()})
    again = record.updated(
        {
            "a": with_strokes(
                with_strokes(unlabeled(), 1, 0, HOLD_OUT_EVERY - 1), 0, 20, HOLD_OUT_EVERY
            )
        }
    )
    assert again.held_out_counts == {0: 4}
    assert again.strokes == {0: 2 * HOLD_OUT_EVERY, 1: 2 * (HOLD_OUT_EVERY - 1)}
    assert "nothing was annotated before" in again.why_no_score()
    more = with_strokes(again.patches["a"].target.copy(), 1, 40, HOLD_OUT_EVERY)
    assert again.updated({"a": more}).why_no_score() == ""


@pytest.mark.parametrize("masks", [set(), {"a"}])
def test_copied_pixels_are_trained_on_but_never_held_out(masks):
    """A prediction that is copied and not corrected gives no score."""
    rng = np.random.default_rng(0)
    target = np.full((60, 60), UNLABELED, np.int16)
    for n in range(40):
        y, x = rng.integers(0, 58, 2)
        target[y : y + 2, x : x + 2] = n % 2
    copied = target != UNLABELED
    record = Record().updated({"a": target}, masks, copied={"a": copied})
    patch = record.patches["a"]
    assert not record.held_out_counts
    assert np.array_equal(patch.training_target(), target)
    assert not record.strokes or masks
    assert record.why_no_score()
    corrected = target.copy()
    corrected[:30][target[:30] == 0] = 1
    after = record.updated({"a": corrected}, masks, copied={"a": copied & (corrected == target)})
    assert np.array_equal(after.patches["a"].held_out, np.zeros_like(copied))
