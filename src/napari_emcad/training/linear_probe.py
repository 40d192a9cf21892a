"""A linear probe: which class pixels look like, from a few strokes and what the network sees.

Linear discriminant analysis with a diagonal covariance that all classes share, and equal priors
(Hastie, Tibshirani, Friedman, "The Elements of Statistical Learning", section 4.3 and 18.2). It has
nothing that could be fitted too closely: where strokes go, and how large they are, hardly matters.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_emcad.annotation.label_rules import UNLABELED

_SHARED = 0.1
"""Share of the variance over all classes that is added to that within them."""

_MARGIN = 3.0
"""Mean of the logits by which a class is ahead where it is painted: a chance of 95 %."""

_TINY = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """What tells painted classes apart.

    Attributes
    ----------
    weights
        ``(classes, features)``.
    offsets
        ``(classes,)``; −inf for a class without paint.
    """

    weights: Tensor
    offsets: Tensor

    def probabilities(self, features: Tensor) -> Tensor:
        """Return probabilities ``(N, classes, h, w)`` from features ``(N, features, h, w)``."""
        logits = torch.einsum("nfhw,kf->nkhw", features, self.weights.to(features))
        return (logits + self.offsets[:, None, None].to(features)).softmax(1)


def probe_features(pixels: Tensor, finest: Tensor) -> Tensor:
    """Return what a probe looks at, ``(N, inputs + C, h, w)`` float32 at the finest map's size.

    Parameters
    ----------
    pixels
        ``(N, inputs, H, W)``, as the network is given them.
    finest
        ``(N, C, h, w)``: the encoder's map of stride 4.
    """
    size = finest.shape[-2], finest.shape[-1]
    seen = F.adaptive_avg_pool2d(pixels.float(), size)
    return torch.cat([seen, finest.float()], 1)


class ProbeStatistics:
    """Gathers painted pixels until a probe can be made of them.

    First strokes go where a class is easy to see, later ones where something is wrong: of each
    class the first ones therefore count as much as all of them together.

    Parameters
    ----------
    classes
        How many there are, the background among them.
    """

    def __init__(self, classes: int) -> None:
        self._all, self._first = _Sums(classes), _Sums(classes)

    def merge(self, other: ProbeStatistics) -> None:
        """Take in what another one has gathered."""
        self._all.merge(other._all)
        self._first.merge(other._first)

    def add(self, seen: Tensor, target: Tensor, first: Tensor | None = None) -> None:
        """Take in the painted pixels of an image.

        Parameters
        ----------
        seen
            ``(features, h, w)``.
        target
            ``(H, W)``: classes, `UNLABELED` elsewhere.
        first
            ``(H, W)`` bool: what the first strokes of each class painted; None if all of them did.
        """
        rows, columns = torch.nonzero(target != UNLABELED, as_tuple=True)
        labels = target[rows, columns].cpu()
        early = torch.ones_like(labels, dtype=torch.bool) if first is None else first[rows, columns]
        high, wide = seen.shape[-2:]
        rows, columns = rows * high // target.shape[0], columns * wide // target.shape[1]
        values = seen[:, rows, columns].T.cpu().double()  # not every processor has float64
        self._all.add(values, labels)
        self._first.add(values[early.cpu()], labels[early.cpu()])

    def fit_probe(self) -> Probe | None:
        """Return the probe; None unless two classes are painted."""
        painted = [k for k, count in enumerate(self._all.counts) if count]
        if len(painted) < 2:
            return None
        moments = [self._moments(k) for k in painted]
        means, squares = (torch.stack(each) for each in zip(*moments, strict=True))
        counts = torch.tensor([self._all.counts[k] for k in painted]).to(means)
        shares = (counts / counts.sum())[:, None]
        within = (squares - means**2).clamp_min(0).mean(0)
        total = ((shares * squares).sum(0) - (shares * means).sum(0) ** 2).clamp_min(0)
        spread = within + _SHARED * total + _TINY
        apart = ((means[:, None] - means[None]) ** 2 / spread).sum(-1) / 2
        nearest = apart.fill_diagonal_(float("inf")).min(1).values.mean()
        scale = _MARGIN / nearest.clamp_min(_TINY)
        weights = means.new_zeros(len(self._all.counts), means.shape[1])
        offsets = means.new_full((len(self._all.counts),), -float("inf"))
        weights[painted] = scale * means / spread
        offsets[painted] = -scale * (means**2 / spread).sum(1) / 2
        return Probe(weights.float(), offsets.float())

    def _moments(self, k: int) -> tuple[Tensor, Tensor]:
        """Return the mean of a class's features and of their squares."""
        gathered = [each for each in (self._all, self._first) if each.counts[k]]
        mean = sum(each.sums[k] / each.counts[k] for each in gathered) / len(gathered)
        square = sum(each.squares[k] / each.counts[k] for each in gathered) / len(gathered)
        return torch.as_tensor(mean), torch.as_tensor(square)


class _Sums:
    """How many pixels of each class there are, and sums of their features and of the squares."""

    def __init__(self, classes: int) -> None:
        self.counts = [0] * classes
        self.sums: list[Tensor | float] = [0.0] * classes
        self.squares: list[Tensor | float] = [0.0] * classes

    def merge(self, other: _Sums) -> None:
        for k, count in enumerate(other.counts):
            self._gather(k, count, other.sums[k], other.squares[k])

    def add(self, values: Tensor, labels: Tensor) -> None:
        for k in sorted(set(labels.tolist())):
            of_class = values[labels == k]
            self._gather(k, len(of_class), of_class.sum(0), (of_class**2).sum(0))

    def _gather(self, k: int, count: int, sums: Tensor | float, squares: Tensor | float) -> None:
        self.counts[k] += count
        self.sums[k] = self.sums[k] + sums
        self.squares[k] = self.squares[k] + squares
