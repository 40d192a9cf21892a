"""Uncertainty of predictions: entropy, mutual information, and calibration by one temperature."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, xlogy

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.imaging.validation import as_int
from napari_emcad.inference.probabilities import class_probabilities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

TEMPERATURES = (0.05, 20.0)
"""The lowest and the highest temperature that is fitted."""


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Accuracy against confidence, for a reliability diagram.

    Attributes
    ----------
    edges
        Edges of the bins of confidence, 0 … 1, ``(bins + 1,)``.
    confidence, accuracy
        Means over the pixels of a bin, ``(bins,)``; NaN for an empty bin.
    pixels
        Number of pixels in a bin, ``(bins,)``.
    error
        Expected calibration error: the mean distance of confidence and accuracy, weighted by the
        pixels of the bins.
    """

    edges: NDArray[np.float64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    pixels: NDArray[np.int64]
    error: float


def as_temperature(temperature: Any) -> float:
    """Return a temperature as a Python float.

    Raises
    ------
    ValueError
        If it is not finite and above 0.
    """
    is_number = isinstance(temperature, Real) and not isinstance(temperature, bool)
    if not is_number or not 0 < temperature < np.inf:
        raise ValueError(f"The temperature is {temperature!r}; it must be above 0 and finite.")
    return float(temperature)


def entropy(probabilities: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the entropy over the first axis as a share of the largest possible, 0 … 1.

    Parameters
    ----------
    probabilities
        ``(K, …)`` with K ≥ 2, summing to 1: see `class_probabilities`.
    """
    nats = -xlogy(probabilities, probabilities).sum(0)
    share = np.clip(nats / np.log(len(probabilities)), 0, 1)
    result: NDArray[np.float32] = share.astype(np.float32)
    return result


def mutual_information(members: Sequence[NDArray[np.floating]]) -> NDArray[np.float32]:
    """Return the mutual information of class and ensemble member, scaled as in `entropy`.

    It is the entropy of the members' mean minus the mean of their entropies: 0 where all members
    agree, however uncertain they are, and 1 where they are certain of different classes.

    Parameters
    ----------
    members
        Probabilities of several heads or views, ``(K, …)`` with K ≥ 2.
    """
    total = entropy(np.mean(members, axis=0, dtype=np.float64))
    expected = np.mean([entropy(member) for member in members], axis=0)
    shared: NDArray[np.float32] = np.clip(total - expected, 0, 1).astype(np.float32)
    return shared


def fit_temperature(logits: NDArray[np.floating], target: NDArray[np.integer]) -> float:
    """Return the temperature that calibrates the probabilities best.

    It minimizes the cross-entropy of ``logits / temperature`` (Guo et al., "On Calibration of
    Modern Neural Networks", ICML 2017, section 4.2), which changes no label. Fit it to pixels that
    the network was not trained with.

    Parameters
    ----------
    logits
        ``(K, …)``, K = 1 for a binary network.
    target
        Classes 0 …, of the shape of one channel; `UNLABELED` pixels are left out.

    Returns
    -------
    float
        Within `TEMPERATURES`; above 1 for an overconfident network.

    Raises
    ------
    ValueError
        If no pixel is labeled, shapes differ, logits are not finite, or the target has classes that
        the network does not have.
    """
    labeled, classes = _labeled_pixels(logits, target)
    both = np.concatenate([np.zeros_like(labeled), labeled]) if len(labeled) == 1 else labeled
    pixels = np.arange(len(classes))

    def cross_entropy(inverse: float) -> float:  # convex in the inverse of the temperature
        return -float(log_softmax(both * inverse, axis=0)[classes, pixels].mean())

    low, high = (np.log(1 / temperature) for temperature in reversed(TEMPERATURES))
    best = minimize_scalar(lambda s: cross_entropy(np.exp(s)), bounds=(low, high), method="bounded")
    return float(np.exp(-best.x))


def reliability(
    logits: NDArray[np.floating],
    target: NDArray[np.integer],
    temperature: float = 1.0,
    bins: int = 10,
) -> Reliability:
    """Return accuracy against confidence, the probability of the predicted class.

    Parameters
    ----------
    logits, target
        As for `fit_temperature`.
    temperature
        Divisor of the logits.
    bins
        Number of equally wide bins of confidence.

    Raises
    ------
    ValueError
        As for `fit_temperature`, if there is no bin, or if the temperature is not above 0 and
        finite.
    """
    temperature, bins = as_temperature(temperature), as_int("bins", bins)
    if bins < 1:
        raise ValueError(f"bins is {bins}; it must be at least 1.")
    labeled, classes = _labeled_pixels(logits, target)
    probabilities = class_probabilities(labeled, temperature)
    confidence = probabilities.max(0).astype(np.float64)
    correct = probabilities.argmax(0) == classes
    edges = np.linspace(0, 1, bins + 1)
    bin_of = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    pixels, *sums = (np.bincount(bin_of, weights, bins) for weights in (None, confidence, correct))
    with np.errstate(invalid="ignore"):
        mean_confidence, accuracy = (total / pixels for total in sums)
    error = np.abs(sums[0] - sums[1]).sum() / len(classes)
    return Reliability(edges, mean_confidence, accuracy, pixels.astype(np.int64), float(error))


def _labeled_pixels(
    logits: NDArray[np.floating], target: NDArray[np.integer]
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return logits ``(K, n)`` and classes ``(n,)`` of the labeled pixels."""
    if logits.shape[1:] != target.shape:
        raise ValueError(
            f"Logits of shape {logits.shape} need a target of shape {logits.shape[1:]}, not "
            f"{target.shape}."
        )
    mask = target != UNLABELED
    classes = target[mask].astype(np.intp)
    if not classes.size:
        raise ValueError(
            "No pixel of the target is labeled; annotate some that were not trained on."
        )
    largest = max(len(logits), 2) - 1
    if classes.min() < 0 or classes.max() > largest:
        wrong = classes.max() if classes.max() > largest else classes.min()
        raise ValueError(f"The target has class {wrong}; the network has 0 to {largest}.")
    labeled = logits[:, mask].astype(np.float64)
    if not np.isfinite(labeled).all():
        raise ValueError("The logits are not finite (NaN or infinity); the network is damaged.")
    return labeled, classes
