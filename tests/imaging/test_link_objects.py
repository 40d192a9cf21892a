"""Objects that overlap from slice to slice have one number."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from napari_emcad.imaging.link_objects import LinkSettings, link_objects


def slices(*rows):
    """Return slices of one row of pixels each."""
    return np.array([[row] for row in rows])


def linked(*rows, **options):
    return link_objects(slices(*rows), **options)[0][:, 0].tolist()


def test_the_same_slice_four_times_has_the_same_objects():
    plane = ndimage.label(np.random.default_rng(0).random((40, 50)) > 0.7)[0]
    labels, first = link_objects(np.stack([plane] * 4))
    assert len(first) == plane.max()
    for one in labels:
        assert np.array_equal(one, labels[0])


def test_numbers_of_slices_do_not_matter():
    assert linked([5, 5, 0, 9], [2, 2, 0, 1]) == [[1, 1, 0, 2], [1, 1, 0, 2]]


def test_a_small_overlap_is_another_object():
    rows = [1, 1, 1, 1, 0, 0, 0], [0, 0, 0, 4, 4, 4, 4]
    assert linked(*rows, overlap=0.2)[1] == [0, 0, 0, 2, 2, 2, 2]
    assert linked(*rows, overlap=0.1)[1] == [0, 0, 0, 1, 1, 1, 1]


def test_the_larger_overlap_wins_and_no_number_is_used_twice():
    """An object that divides goes on in its larger part."""
    assert linked([1, 1, 1, 1, 1], [2, 0, 3, 3, 3], overlap=0.1) == [[1] * 5, [2, 0, 1, 1, 1]]
    assert linked([2, 0, 3, 3, 3], [1, 1, 1, 1, 1], overlap=0.1)[1] == [2] * 5


def test_a_gap_is_bridged_if_it_may_be():
    rows = [1, 1], [0, 0], [1, 1]
    assert linked(*rows) == [[1, 1], [0, 0], [2, 2]]
    assert linked(*rows, gap=1) == [[1, 1], [0, 0], [1, 1]]
    assert linked([1, 1], [0, 0], [0, 0], [1, 1], gap=1)[3] == [2, 2]


def test_an_object_that_was_seen_since_is_not_taken_again():
    rows = [1, 1, 1, 1], [0, 0, 2, 2], [3, 3, 0, 0]
    assert linked(*rows, gap=1, overlap=0.4) == [[1] * 4, [0, 0, 1, 1], [2, 2, 0, 0]]


def test_classes_are_not_mixed():
    labels = slices([1, 1], [2, 2])
    assert link_objects(labels, classes=[1, 1])[0][1].tolist() == [[1, 1]]
    result, first = link_objects(labels, classes=[1, 2])
    assert result[1].tolist() == [[2, 2]]
    assert first == [1, 2]


def test_stacks_of_time_points_are_linked_along_either_axis():
    plane = np.array([[1, 0, 2]])
    movie = np.broadcast_to(plane, (3, 2, 1, 3))
    in_space, first = link_objects(movie, "TZYX")
    assert len(first) == 6
    assert all(np.array_equal(time[0], time[1]) for time in in_space)
    in_time, first = link_objects(movie, "TZYX", along="T")
    assert len(first) == 4
    assert np.array_equal(in_time[0], in_time[2])


small = hnp.arrays(
    np.uint8,
    st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5)),
    elements=st.integers(0, 3),
)


@settings(max_examples=60)
@given(small, st.sampled_from([0.1, 0.5, 1.0]), st.integers(0, 2))
def test_a_slice_keeps_its_objects(labels, overlap, gap):
    """Within a slice, numbers change one to one; every number begins where it is listed."""
    result, first = link_objects(labels, overlap=overlap, gap=gap)
    assert np.array_equal(result > 0, labels > 0)
    for before, after in zip(labels, result, strict=True):
        pairs = set(zip(before.ravel().tolist(), after.ravel().tolist(), strict=True))
        assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
    assert sorted(set(np.unique(result).tolist()) - {0}) == list(range(1, len(first) + 1))
    for number, original in enumerate(first, 1):
        step = int(np.flatnonzero((result == number).any((1, 2)))[0])
        assert (labels[step][result[step] == number] == original).all()


@settings(max_examples=30)
@given(small)
def test_full_overlap_links_equal_shapes_only(labels):
    result, _ = link_objects(labels, overlap=1.0)
    for before, after in itertools.pairwise(result):
        for number in set(np.unique(before).tolist()) & set(np.unique(after).tolist()) - {0}:
            assert np.array_equal(before == number, after == number)


@settings(max_examples=20)
@given(small)
def test_turned_stacks_give_the_same(labels):
    one, _ = link_objects(labels)
    other, _ = link_objects(labels.transpose(1, 2, 0), "YXZ")
    assert np.array_equal(one.transpose(1, 2, 0), other)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"labels": np.zeros((4, 5), int)}, "need Y, X and Z"),
        ({"axes": "ZY"}, "Y and X among them"),
        ({"along": "T"}, "need Y, X and T"),
        ({"along": "Y"}, "along which is linked"),
        ({"labels": np.zeros((2, 4, 5))}, "whole numbers"),
        ({"labels": np.full((2, 4, 5), -1)}, "whole numbers"),
        ({"overlap": 0}, "overlap is 0"),
        ({"overlap": 1.5}, "overlap is 1.5"),
        ({"gap": -1}, "gap is -1"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, reason):
    with pytest.raises(ValueError, match=reason):
        link_objects(**({"labels": np.zeros((2, 4, 5), int)} | arguments))


def test_defaults_are_those_of_the_settings():
    assert LinkSettings() == LinkSettings(0.25, 0)
