"""Which of the four heads' maps the loss sees.

Enlarging is linear, so the sums of heads are sums of four enlarged maps: four enlargements serve
all fifteen.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_emcad.training.config import SupervisionName
    from napari_emcad.training.losses import Loss

Subset = tuple[int, ...]

_EACH: tuple[Subset, ...] = ((0,), (1,), (2,), (3,))
_ALL: tuple[Subset, ...] = tuple(s for n in range(1, 5) for s in combinations(range(4), n))

SUBSETS: dict[SupervisionName, tuple[Subset, ...]] = {
    "mutation": _ALL,
    "deep": _EACH,
    "last": ((3,),),
    "deep_and_sum": (*_EACH, (0, 1, 2, 3)),
    "learned": _ALL,
}
"""Heads (0 the deepest … 3 the finest) that are summed, by the names of `TrainingConfig`."""


class Supervision(nn.Module):
    """The loss summed over sums of heads.

    ``"mutation"`` takes all fifteen sums (section 3.4 of the paper), ``"deep"`` each head,
    ``"last"`` the finest, ``"deep_and_sum"`` each and the sum of all (the paper's binary form),
    ``"learned"`` all fifteen with weights that are trained along (the idea of LoMix, additive
    subsets).

    Parameters
    ----------
    name
        One of `SUBSETS`.
    loss
        One of `losses.LOSSES`.
    """

    def __init__(self, name: SupervisionName, loss: Loss) -> None:
        super().__init__()
        self.subsets = SUBSETS[name]
        self._loss = loss
        self.scores = nn.Parameter(torch.zeros(len(self.subsets))) if name == "learned" else None

    @property
    def weights(self) -> Tensor:
        """Weight of each subset; they sum to their number."""
        if self.scores is None:
            return torch.ones(len(self.subsets))
        return self.scores.softmax(0) * len(self.subsets)

    def forward(self, logits: Sequence[Tensor], target: Tensor) -> Tensor:
        """Return the loss.

        Parameters
        ----------
        logits
            Of the four heads, deepest first, at stage resolution.
        target
            ``(N, H, W)`` int64, see `losses`.
        """
        size = target.shape[-2:]
        used = {head for subset in self.subsets for head in subset}
        maps = {
            head: F.interpolate(logits[head].float(), size, mode="bilinear", align_corners=False)
            for head in used
        }
        costs = [self._loss(sum_of(maps, subset), target) for subset in self.subsets]
        total: Tensor = (torch.stack(costs) * self.weights.to(costs[0])).sum()
        return total


def sum_of(maps: dict[int, Tensor], subset: Subset) -> Tensor:
    """Return the sum of some heads' maps."""
    total = maps[subset[0]]
    for head in subset[1:]:
        total = total + maps[head]
    return total
