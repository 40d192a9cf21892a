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

from napari_emcad.imaging.paint import UNPAINTED

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

    def chances(self, features: Tensor) -> Tensor:
        """Return probabilities ``(N, classes, h, w)`` from features ``(N, features, h, w)``."""
        logits = torch.einsum("nfhw,kf->nkhw", features, self.weights.to(features))
        return (logits + self.offsets[:, None, None].to(features)).softmax(1)


def features(pixels: Tensor, finest: Tensor) -> Tensor:
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


class Fit:
    """Gathers painted pixels until a probe can be made of them.

    Parameters
    ----------
    classes
        How many there are, the background among them.
    """

    def __init__(self, classes: int) -> None:
        self._counts = [0] * classes
        self._sums: list[Tensor | float] = [0.0] * classes
        self._squares: list[Tensor | float] = [0.0] * classes

    def join(self, other: Fit) -> None:
        """Take in what another one has gathered."""
        for k, count in enumerate(other._counts):
            self._counts[k] += count
            self._sums[k] = self._sums[k] + other._sums[k]
            self._squares[k] = self._squares[k] + other._squares[k]

    def add(self, seen: Tensor, target: Tensor) -> None:
        """Take in the painted pixels of an image.

        Parameters
        ----------
        seen
            ``(features, h, w)``.
        target
            ``(H, W)``: classes, `UNPAINTED` elsewhere.
        """
        rows, columns = torch.nonzero(target != UNPAINTED, as_tuple=True)
        labels = target[rows, columns].cpu()
        high, wide = seen.shape[-2:]
        rows, columns = rows * high // target.shape[0], columns * wide // target.shape[1]
        values = seen[:, rows, columns].T.cpu().double()  # not every processor has float64
        for k in sorted(set(labels.tolist())):
            of_class = values[labels == k]
            self._counts[k] += len(of_class)
            self._sums[k] = self._sums[k] + of_class.sum(0)
            self._squares[k] = self._squares[k] + (of_class**2).sum(0)

    def probe(self) -> Probe | None:
        """Return the probe; None unless two classes are painted."""
        painted = [k for k, count in enumerate(self._counts) if count]
        if len(painted) < 2:
            return None
        sums = torch.stack([torch.as_tensor(self._sums[k]) for k in painted])
        squares = torch.stack([torch.as_tensor(self._squares[k]) for k in painted])
        counts = torch.tensor([self._counts[k] for k in painted]).to(sums)[:, None]
        means = sums / counts
        within = (squares / counts - means**2).clamp_min(0).mean(0)
        total = (squares.sum(0) / counts.sum() - (sums.sum(0) / counts.sum()) ** 2).clamp_min(0)
        spread = within + _SHARED * total + _TINY
        apart = ((means[:, None] - means[None]) ** 2 / spread).sum(-1) / 2
        nearest = apart.fill_diagonal_(float("inf")).min(1).values.mean()
        scale = _MARGIN / nearest.clamp_min(_TINY)
        weights = means.new_zeros(len(self._counts), means.shape[1])
        offsets = means.new_full((len(self._counts),), -float("inf"))
        weights[painted] = scale * means / spread
        offsets[painted] = -scale * (means**2 / spread).sum(1) / 2
        return Probe(weights.float(), offsets.float())
