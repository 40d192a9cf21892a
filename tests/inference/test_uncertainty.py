"""Entropy, disagreement, temperature and reliability against arithmetic and known cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from scipy.stats import entropy as scipy_entropy

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.inference.probabilities import class_probabilities
from napari_emcad.inference.uncertainty import (
    TEMPERATURES,
    entropy,
    fit_temperature,
    mutual_information,
    reliability,
)

channels = st.integers(1, 6)


def drawn(count, size=4000, spread=3.0, seed=0):
    """Return logits (K, n) and targets drawn from the probabilities that they mean."""
    random = np.random.default_rng(seed)
    logits = random.standard_normal((count, size)) * spread
    steps = class_probabilities(logits).cumsum(0)
    return logits, (random.uniform(size=size) > steps[:-1]).sum(0)


@given(channels, st.floats(0.1, 30), st.integers(0, 99))
def test_entropy_and_mutual_information_are_0_to_1(count, spread, seed):
    random = np.random.default_rng(seed)
    members = [
        class_probabilities(random.standard_normal((count, 5, 6)) * spread) for _ in range(4)
    ]
    for each in (entropy(members[0]), mutual_information(members)):
        assert each.shape == (5, 6)
        assert each.dtype == np.float32
        assert 0 <= each.min() <= each.max() <= 1


def test_entropy_is_that_of_scipy_as_a_share():
    p = softmax(np.random.default_rng(0).standard_normal((5, 40)), axis=0)
    np.testing.assert_allclose(entropy(p), scipy_entropy(p, axis=0) / np.log(5), rtol=1e-5)


def test_the_ends_of_entropy():
    assert entropy(class_probabilities(np.zeros((1, 1))))[0] == pytest.approx(1)
    assert entropy(class_probabilities(np.full((1, 1), -900.0)))[0] == 0
    assert entropy(np.full((7, 1), 1 / 7))[0] == pytest.approx(1)


def test_mutual_information_of_equal_members_is_0():
    member = class_probabilities(np.zeros((1, 3, 3)))
    np.testing.assert_allclose(mutual_information([member] * 4), 0, atol=1e-6)


def test_mutual_information_of_contrary_certain_members_is_1():
    certain = [class_probabilities(np.full((1, 1), each)) for each in (-99.0, 99.0)]
    assert mutual_information(certain)[0] == pytest.approx(1)


@settings(max_examples=20, deadline=None)
@given(channels, st.floats(0.2, 8))
def test_a_known_temperature_is_recovered(count, temperature):
    logits, target = drawn(count, size=20_000)
    found = fit_temperature(logits * temperature, target)
    assert found == pytest.approx(temperature, rel=0.08)


def test_unlabeled_pixels_do_not_count():
    logits, target = drawn(3)
    logits, target = 2 * logits.reshape(3, 40, 100), target.reshape(40, 100)
    expected = fit_temperature(logits[:, :20], target[:20])
    target[20:] = UNLABELED
    logits[:, 20:] = 1e4
    assert fit_temperature(logits, target) == pytest.approx(expected)
    assert reliability(logits, target).pixels.sum() == 2000


def test_a_network_that_is_always_right_gets_a_low_temperature_within_bounds():
    found = fit_temperature(np.array([[3.0, -3.0]]), np.array([1, 0]))
    assert TEMPERATURES[0] <= found < 0.2


@pytest.mark.parametrize("count", [1, 4])
def test_calibrated_confidence_is_accuracy(count):
    logits, target = drawn(count, size=60_000)
    plot = reliability(logits, target)
    full = plot.pixels > 500
    np.testing.assert_allclose(plot.confidence[full], plot.accuracy[full], atol=0.05)
    assert plot.error < 0.01
    assert plot.pixels.sum() == 60_000
    assert len(plot.edges) == 11
    assert np.isnan(plot.accuracy[plot.pixels == 0]).all()


def test_the_fitted_temperature_calibrates_an_overconfident_network():
    logits, target = drawn(3, size=30_000)
    certain = 4 * logits
    fitted = fit_temperature(certain, target)
    assert reliability(certain, target).error > 0.1
    assert reliability(certain, target, fitted).error < 0.02


@pytest.mark.parametrize("work", [fit_temperature, reliability])
@pytest.mark.parametrize(
    ("target", "message"),
    [
        ([-1, -1], "No pixel of the target is labeled"),
        ([0, 1, 1], r"need a target of shape \(2,\)"),
        ([0, 2], "class 2; the network has 0 to 1"),
        ([0, -3], "class -3"),
    ],
)
def test_targets_that_do_not_fit_are_refused(work, target, message):
    with pytest.raises(ValueError, match=message):
        work(np.zeros((1, 2)), np.array(target))


def test_there_is_at_least_one_bin():
    with pytest.raises(ValueError, match="at least 1"):
        reliability(np.zeros((1, 1)), np.array([1]), bins=0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("ask", [fit_temperature, reliability])
def test_logits_that_are_not_finite_are_refused(ask, value):
    with pytest.raises(ValueError, match="logits are not finite"):
        ask(np.array([[0.0, value]]), np.array([0, 1]))


@pytest.mark.parametrize("temperature", [0, -1, np.nan, np.inf, None, "1"])
def test_an_invalid_temperature_is_refused(temperature):
    with pytest.raises(ValueError, match=r"temperature is .*; it must be above 0 and finite"):
        reliability(np.zeros((1, 2)), np.array([0, 1]), temperature)
