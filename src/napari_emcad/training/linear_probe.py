"""A linear probe: a classifier on a network's features, fitted to a few annotated pixels.

Linear discriminant analysis with a diagonal covariance shared by all classes, and equal priors
(Hastie, Tibshirani, Friedman, "The Elements of Statistical Learning", section 4.3 and 18.2). It has
no parameter that could overfit: position and size of the strokes hardly matter.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_emcad.annotation.label_rules import UNLABELED

_SHRINKAGE = 0.1
"""Share of the variance over all classes that is added to the variance within them."""

_MARGIN = 3.0
"""Mean difference of the logits of the annotated class and its nearest other one: 95 % certain."""

_TINY = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """A fitted linear classifier.

    Attributes
    ----------
    weights
        ``(classes, features)``.
    offsets
        ``(classes,)``; −inf for a class without annotated pixels.
    """

    weights: Tensor
    offsets: Tensor

    def probabilities(self, features: Tensor) -> Tensor:
        """Return probabilities ``(N, classes, h, w)`` from features ``(N, features, h, w)``."""
        logits = torch.einsum("nfhw,kf->nkhw", features, self.weights.to(features))
        return (logits + self.offsets[:, None, None].to(features)).softmax(1)


def probe_features(pixels: Tensor, finest: Tensor) -> Tensor:
    """Return the features of a probe, ``(N, inputs + C, h, w)`` float32 at the finest map's size.

    Parameters
    ----------
    pixels
        Network input, ``(N, inputs, H, W)``.
    finest
        The encoder's map of stride 4, ``(N, C, h, w)``.
    """
    size = finest.shape[-2], finest.shape[-1]
    small = F.adaptive_avg_pool2d(pixels.float(), size)
    return torch.cat([small, finest.float()], 1)


class ProbeStatistics:
    """Sums over annotated pixels from which a probe is fitted.

    First strokes are drawn where a class is easy to recognize, later ones where a model is wrong.
    Therefore the first strokes of a class count as much as all of its strokes together.

    Parameters
    ----------
    classes
        Number of classes, the background included.
    """

    def __init__(self, classes: int) -> None:
        self._all, self._first = _Sums(classes), _Sums(classes)

    def merge(self, other: ProbeStatistics) -> None:
        """Add the sums of another part of the pixels."""
        self._all.merge(other._all)
        self._first.merge(other._first)

    def add(self, features: Tensor, target: Tensor, first: Tensor | None = None) -> None:
        """Add the annotated pixels of an image.

        Parameters
        ----------
        features
            ``(features, h, w)``.
        target
            ``(H, W)``: classes, `UNLABELED` elsewhere.
        first
            ``(H, W)`` bool: the first strokes per class; None if all pixels are.
        """
        rows, columns = torch.nonzero(target != UNLABELED, as_tuple=True)
        labels = target[rows, columns].cpu()
        early = torch.ones_like(labels, dtype=torch.bool) if first is None else first[rows, columns]
        height, width = features.shape[-2:]
        rows, columns = rows * height // target.shape[0], columns * width // target.shape[1]
        values = features[:, rows, columns].T.cpu().double()  # some processors have no float64
        self._all.add(values, labels)
        self._first.add(values[early.cpu()], labels[early.cpu()])

    def fit_probe(self) -> Probe | None:
        """Return the probe; None unless at least two classes are annotated."""
        present = [k for k, count in enumerate(self._all.counts) if count]
        if len(present) < 2:
            return None
        moments = [self._moments(k) for k in present]
        means, squares = (torch.stack(values) for values in zip(*moments, strict=True))
        counts = torch.tensor([self._all.counts[k] for k in present]).to(means)
        shares = (counts / counts.sum())[:, None]
        within = (squares - means**2).clamp_min(0).mean(0)
        total = ((shares * squares).sum(0) - (shares * means).sum(0) ** 2).clamp_min(0)
        variance = within + _SHRINKAGE * total + _TINY
        distances = ((means[:, None] - means[None]) ** 2 / variance).sum(-1) / 2
        nearest = distances.fill_diagonal_(float("inf")).min(1).values.mean()
        scale = _MARGIN / nearest.clamp_min(_TINY)
        weights = means.new_zeros(len(self._all.counts), means.shape[1])
        offsets = means.new_full((len(self._all.counts),), -float("inf"))
        weights[present] = scale * means / variance
        offsets[present] = -scale * (means**2 / variance).sum(1) / 2
        return Probe(weights.float(), offsets.float())

    def _moments(self, k: int) -> tuple[Tensor, Tensor]:
        """Return the mean of a class's features and of their squares."""
        parts = [part for part in (self._all, self._first) if part.counts[k]]
        mean = sum(part.sums[k] / part.counts[k] for part in parts) / len(parts)
        square = sum(part.squares[k] / part.counts[k] for part in parts) / len(parts)
        return torch.as_tensor(mean), torch.as_tensor(square)


class _Sums:
    """Per class: the number of pixels, and the sums of their features and squared features."""

    def __init__(self, classes: int) -> None:
        self.counts = [0] * classes
        self.sums: list[Tensor | float] = [0.0] * classes
        self.squares: list[Tensor | float] = [0.0] * classes

    def merge(self, other: _Sums) -> None:
        for k, count in enumerate(other.counts):
            self._add_class(k, count, other.sums[k], other.squares[k])

    def add(self, values: Tensor, labels: Tensor) -> None:
        for k in sorted(set(labels.tolist())):
            of_class = values[labels == k]
            self._add_class(k, len(of_class), of_class.sum(0), (of_class**2).sum(0))

    def _add_class(self, k: int, count: int, sums: Tensor | float, squares: Tensor | float) -> None:
        self.counts[k] += count
        self.sums[k] = self.sums[k] + sums
        self.squares[k] = self.squares[k] + squares
