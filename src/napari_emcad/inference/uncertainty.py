"""How sure a network is: entropy, disagreement, and whether its probabilities can be believed."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, softmax, xlogy

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.imaging.validation import as_int

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

TEMPERATURES = (0.05, 20.0)
"""The lowest and the highest temperature."""


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """How often a network is right where it is so sure; for a reliability plot.

    Attributes
    ----------
    edges
        ``(bins + 1,)``: of the bins of confidence, 0 … 1.
    confidence, accuracy
        ``(bins,)``: means of what fell into each bin; NaN where nothing did.
    pixels
        ``(bins,)``: how many did.
    error
        Expected calibration error: mean distance of confidence and accuracy, by pixels.
    """

    edges: NDArray[np.float64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    pixels: NDArray[np.int64]
    error: float


def as_temperature(temperature: Any) -> float:
    """Return a temperature as a plain number.

    Raises
    ------
    ValueError
        If it is not finite and above 0.
    """
    right = isinstance(temperature, Real) and not isinstance(temperature, bool)
    if not right or not 0 < temperature < np.inf:
        raise ValueError(f"The temperature is {temperature!r}; it must be above 0 and finite.")
    return float(temperature)


def class_probabilities(
    logits: NDArray[np.floating], temperature: float = 1.0
) -> NDArray[np.float32]:
    """Return probabilities of every class, background first, ``(max(K, 2), …)``.

    Parameters
    ----------
    logits
        ``(K, …)``; one channel is that of class 1 against the background.
    temperature
        What they are divided by first.
    """
    cooled = logits / temperature
    if len(cooled) > 1:
        several: NDArray[np.float32] = softmax(cooled, axis=0)
        return several
    one = expit(cooled)
    both: NDArray[np.float32] = np.concatenate([1 - one, one])
    return both


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
    """Return the mutual information of class and member, as a share like that of `entropy`.

    The entropy of the members' mean minus the mean of their entropies: 0 where all say the same,
    however unsure, and 1 where they are sure of different classes.

    Parameters
    ----------
    members
        Probabilities of several heads or views, each ``(K, …)`` with K ≥ 2.
    """
    whole = entropy(np.mean(members, axis=0, dtype=np.float64))
    parts = np.mean([entropy(each) for each in members], axis=0)
    shared: NDArray[np.float32] = np.clip(whole - parts, 0, 1).astype(np.float32)
    return shared


def fit_temperature(logits: NDArray[np.floating], target: NDArray[np.integer]) -> float:
    """Return the temperature that makes logits say best how sure to be.

    It minimizes the cross-entropy of ``logits / temperature`` (Guo et al., "On Calibration of
    Modern Neural Networks", ICML 2017, section 4.2), which changes no label. Fit it to pixels that
    the network was not taught with.

    Parameters
    ----------
    logits
        ``(K, …)``, K = 1 for a binary network.
    target
        Classes 0 …, of the shape of one channel; `UNLABELED` pixels are left out.

    Returns
    -------
    float
        Within `TEMPERATURES`; above 1 for a network that is too sure.

    Raises
    ------
    ValueError
        If no pixel is painted, shapes differ, logits are not finite, or the target has classes that
        logits have not.
    """
    known, classes = _known(logits, target)
    both = np.concatenate([np.zeros_like(known), known]) if len(known) == 1 else known
    pixels = np.arange(len(classes))

    def cost(sharpness: float) -> float:  # convex in the inverse of the temperature
        return -float(log_softmax(both * sharpness, axis=0)[classes, pixels].mean())

    low, high = (np.log(1 / each) for each in reversed(TEMPERATURES))
    found = minimize_scalar(lambda s: cost(np.exp(s)), bounds=(low, high), method="bounded")
    return float(np.exp(-found.x))


def reliability(
    logits: NDArray[np.floating],
    target: NDArray[np.integer],
    temperature: float = 1.0,
    bins: int = 10,
) -> Reliability:
    """Return how confidence and accuracy go together.

    Parameters
    ----------
    logits, target
        As for `fit_temperature`.
    temperature
        What logits are divided by.
    bins
        Of confidence, the probability of the class that is predicted; equally wide.

    Raises
    ------
    ValueError
        As for `fit_temperature`, if there is no bin, or if the temperature is not above 0 and
        finite.
    """
    temperature, bins = as_temperature(temperature), as_int("bins", bins)
    if bins < 1:
        raise ValueError(f"{bins} bins; there must be at least 1.")
    known, classes = _known(logits, target)
    said = class_probabilities(known, temperature)
    sure, right = said.max(0).astype(np.float64), said.argmax(0) == classes
    edges = np.linspace(0, 1, bins + 1)
    which = np.clip(np.searchsorted(edges, sure, side="left") - 1, 0, bins - 1)
    pixels, *sums = (np.bincount(which, w, bins) for w in (None, sure, right))
    with np.errstate(invalid="ignore"):
        confidence, accuracy = (each / pixels for each in sums)
    apart = np.abs(sums[0] - sums[1]).sum() / len(classes)
    return Reliability(edges, confidence, accuracy, pixels.astype(np.int64), float(apart))


def _known(
    logits: NDArray[np.floating], target: NDArray[np.integer]
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return logits ``(K, n)`` and classes ``(n,)`` of the painted pixels."""
    if logits.shape[1:] != target.shape:
        raise ValueError(
            f"Logits of shape {logits.shape} need a target of shape {logits.shape[1:]}, not "
            f"{target.shape}."
        )
    painted = target != UNLABELED
    classes = target[painted].astype(np.intp)
    if not classes.size:
        raise ValueError("No pixel of the target is painted; paint some that were not taught.")
    most = max(len(logits), 2) - 1
    if classes.min() < 0 or classes.max() > most:
        wrong = classes.max() if classes.max() > most else classes.min()
        raise ValueError(f"The target has class {wrong}; the network has 0 to {most}.")
    known = logits[:, painted].astype(np.float64)
    if not np.isfinite(known).all():
        raise ValueError("The logits are not finite (NaN or infinity); the network is damaged.")
    return known, classes
