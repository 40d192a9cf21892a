"""A layer of predictions shows one model alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_emcad.plugin.layers.predicted_parts import PredictedParts

SHAPE = (3, 12, 12)


@st.composite
def part(draw):
    """Return a part of a slice."""
    ranges = [sorted(draw(st.lists(st.integers(0, 12), min_size=2, max_size=2))) for _ in "YX"]
    return (draw(st.integers(0, 2)), *(slice(low, high) for low, high in ranges))


@given(st.lists(st.tuples(part(), st.integers(1, 3)), max_size=12))
def test_only_the_last_model_is_shown(predictions):
    """Models are numbers, which their predictions consist of."""
    parts, labels = PredictedParts(), np.zeros(SHAPE, np.uint8)
    models = {k: object() for k in (1, 2, 3)}
    expected = np.zeros(SHAPE, np.uint8)
    before = 0
    for where, k in predictions:
        if k != before:
            expected[...] = 0
        expected[where] = k
        parts.begin(labels, where, models[k])
        labels[where] = k
        parts.add(where)
        before = k
        np.testing.assert_array_equal(labels, expected)


def test_a_network_that_learns_is_another_one_every_time():
    parts, labels = PredictedParts(), np.zeros(SHAPE, np.uint8)
    for where in ((0, slice(0, 4), slice(0, 4)), (0, slice(2, 6), slice(0, 4))):
        parts.begin(labels, where)
        labels[where] = 1
        parts.add(where)
    assert not labels[0, :2].any()
    assert labels[0, 2:6, :4].all()


def test_what_is_predicted_now_keeps_its_labels_until_they_are_replaced():
    parts, labels = PredictedParts(), np.zeros(SHAPE, np.uint8)
    whole, left = (1, slice(0, 12), slice(0, 12)), (1, slice(0, 12), slice(0, 6))
    parts.begin(labels, whole)
    labels[whole] = 1
    parts.add(whole)
    assert parts.begin(labels, left, "model")
    assert labels[left].all()
    assert not labels[1, :, 6:].any()
    assert not parts.begin(labels, whole, "model")
