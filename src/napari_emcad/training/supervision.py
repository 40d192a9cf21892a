"""Deep supervision: which sums of the four heads' logits the loss is computed on.

Bilinear enlargement is linear, so sums of heads are sums of enlarged logits: four enlargements
serve all fifteen sums.
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

_SINGLE: tuple[Subset, ...] = ((0,), (1,), (2,), (3,))
_ALL: tuple[Subset, ...] = tuple(s for n in range(1, 5) for s in combinations(range(4), n))

SUBSETS: dict[SupervisionName, tuple[Subset, ...]] = {
    "mutation": _ALL,
    "deep": _SINGLE,
    "last": ((3,),),
    "deep_and_sum": (*_SINGLE, (0, 1, 2, 3)),
    "learned": _ALL,
}
"""Heads (0 the deepest … 3 the finest) that are summed, by the names of `TrainingConfig`."""


class Supervision(nn.Module):
    """The total loss over sums of heads.

    ``"mutation"`` takes all fifteen sums (section 3.4 of the paper), ``"deep"`` the single heads,
    ``"last"`` the finest, ``"deep_and_sum"`` the single heads and the sum of all (the paper's
    binary form), ``"learned"`` all fifteen with trained weights (the idea of LoMix, additive
    subsets).

    Parameters
    ----------
    name
        A key of `SUBSETS`.
    loss
        A function as in `losses.LOSSES`.
    """

    def __init__(self, name: SupervisionName, loss: Loss) -> None:
        super().__init__()
        self.subsets = SUBSETS[name]
        self._loss = loss
        self.scores = (
            nn.Parameter(torch.zeros(len(self.subsets), device="cpu"))
            if name == "learned"
            else None
        )

    @property
    def weights(self) -> Tensor:
        """Weights of the subsets; they sum to the number of subsets."""
        if self.scores is None:
            return torch.ones(len(self.subsets), device="cpu")
        return self.scores.softmax(0) * len(self.subsets)

    def forward(self, logits: Sequence[Tensor], target: Tensor) -> Tensor:
        """Return the loss.

        Parameters
        ----------
        logits
            Outputs of the four heads, deepest first, at stage resolution.
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
