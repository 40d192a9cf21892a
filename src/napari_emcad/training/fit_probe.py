"""Fit a probe to annotated pixels: multinomial logistic regression with a ridge penalty.

There are more features than annotated pixels, so the regression is solved for one coefficient per
pixel instead of one per feature (its dual form; Hastie, Tibshirani, Friedman, "The Elements of
Statistical Learning", section 18.3.5). The features of every map are standardized and divided by
the square root of their number, so that pixels and every map of the encoder have the same weight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from napari_emcad.model.feature_probe import NEVER, FeatureProbe
from napari_emcad.model.pixel_features import COARSE_WIDTH, FINE_WIDTH, PIXEL_MAPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_emcad.model.feature_extractor import FeatureExtractor
    from napari_emcad.training.probe_samples import ProbeSamples
    from napari_emcad.training.probe_settings import ProbeSettings

_MOST_PIXELS = 600
"""Largest number of annotated pixels; the time to fit rises with its cube."""

_FEWEST_PIXELS = 40
"""Number of pixels that a class keeps at least, if it has them."""

_ITERATIONS = 60

_SHRINKAGE = 1e-3
"""Share of a map's standard deviation that is added to that of its channels, some are constant."""

_TINY = 1e-6


def fit_probe(
    samples: Sequence[ProbeSamples],
    classes: int,
    extractor: FeatureExtractor,
    settings: ProbeSettings,
) -> FeatureProbe | None:
    """Return the probe of annotated pixels; None unless at least two classes are annotated.

    Classes have the same weight, whatever their numbers of pixels. First strokes are drawn where a
    class is easy to recognize, later ones where a model is wrong; therefore the first strokes of a
    class count as much as all of its strokes together.

    Parameters
    ----------
    samples
        Features of the annotated parts of all images, maps in the same order.
    classes
        Number of classes, the background included.
    extractor
        Extractor that the features come from.
    settings
        Weights of the feature maps and ridge penalty.
    """
    samples = [one for one in samples if len(one.classes)]
    if not samples:
        return None
    labels, first, kept = _thinned(samples)
    present = np.unique(labels)
    if len(present) < 2:
        return None
    means, scales, inputs = _standardized(samples, kept, settings.weights)
    kernel = 1 + torch.stack([one @ one.T for one in inputs]).sum(0)
    targets = F.one_hot(torch.from_numpy(np.searchsorted(present, labels))).float()
    pixel_weights = torch.from_numpy(_pixel_weights(labels, first))
    coefficients = _solve(kernel, targets, pixel_weights, settings.ridge)
    bias = torch.full((classes,), NEVER, device="cpu")
    bias[torch.from_numpy(present)] = coefficients.sum(0)
    by_map = []
    for one, mean, scale in zip(inputs, means, scales, strict=True):
        weight = torch.zeros(classes, one.shape[1], device="cpu")
        weight[torch.from_numpy(present)] = coefficients.T @ one / scale
        bias -= weight @ mean
        by_map.append(weight)
    return FeatureProbe(extractor, by_map, bias)


def _thinned(
    samples: Sequence[ProbeSamples],
) -> tuple[NDArray[np.integer], NDArray[np.bool_], NDArray[np.integer]]:
    """Return class, first-stroke mask and index of about `_MOST_PIXELS` pixels at most.

    The strokes of a class keep the same share of their pixels; rare classes keep more.
    """
    labels = np.concatenate([one.classes for one in samples])
    first = np.concatenate([one.first for one in samples])
    kept = []
    for k in np.unique(labels):
        of_class = np.flatnonzero(labels == k)
        share = round(_MOST_PIXELS * len(of_class) / len(labels))
        count = min(len(of_class), max(share, _FEWEST_PIXELS))
        kept.append(of_class[np.linspace(0, len(of_class) - 1, count).round().astype(int)])
    chosen = np.concatenate(kept)
    return labels[chosen], first[chosen], chosen


def _standardized(
    samples: Sequence[ProbeSamples], kept: NDArray[np.integer], weights: Sequence[float]
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Return mean ``(C,)``, scale ``(C,)`` and standardized features ``(n, C)`` per map."""
    means, scales, inputs = [], [], []
    for level, map_weight in enumerate(weights):
        background = torch.cat([one.background[level] for one in samples])
        mean, deviation = background.mean(0), background.std(0, correction=0)
        width = background.shape[1] if level >= PIXEL_MAPS else FINE_WIDTH + COARSE_WIDTH
        deviation = deviation + _SHRINKAGE * background.std(correction=0) + _TINY
        scale = deviation * (width / map_weight) ** 0.5
        features = torch.cat([one.features[level] for one in samples])[torch.from_numpy(kept)]
        means.append(mean)
        scales.append(scale)
        inputs.append((features - mean) / scale)
    return means, scales, inputs


def _pixel_weights(labels: NDArray[np.integer], first: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the weights of pixels, 1 on average; see `fit_probe`."""
    weights = np.zeros(len(labels), np.float32)
    for k in np.unique(labels):
        of_class = labels == k
        early = of_class & first
        for part in (of_class, early if early.any() else of_class):
            weights[part] += 1 / part.sum()
    normalized: NDArray[np.float32] = weights / weights.mean()
    return normalized


def _solve(kernel: Tensor, targets: Tensor, weights: Tensor, ridge: float) -> Tensor:
    """Return the coefficients ``(n, K)`` of weighted multinomial logistic regression.

    The curvature of the loss is replaced by its upper bound of one half, so that one factorization
    serves all steps and every step lowers the loss (Böhning and Lindsay, 1988).

    Parameters
    ----------
    kernel
        ``(n, n)`` inner products of the pixels' features.
    targets
        ``(n, K)`` one-hot.
    weights
        ``(n,)``.
    ridge
        Penalty per pixel.
    """
    penalty = ridge * len(weights)
    root = weights.sqrt()[:, None]
    bound = 0.5 * root * kernel * root.T
    factor = torch.linalg.cholesky(bound + penalty * torch.eye(len(weights), device=weights.device))
    coefficients = torch.zeros_like(targets)
    for _ in range(_ITERATIONS):
        residuals = (kernel @ coefficients).softmax(1) - targets
        gradient = weights[:, None] * residuals + penalty * coefficients
        correction = torch.cholesky_solve(root * (kernel @ gradient), factor)
        coefficients = coefficients - (gradient - 0.5 * root * correction) / penalty
    return coefficients
