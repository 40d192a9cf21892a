"""Steps for matrices whose directions all count alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor, nn

MOMENTUM = 0.95
ROUNDS = 5
"""Of the iteration: singular values are then between 0.7 and 1.2, which is near enough."""

QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients of x, x³ and x⁵ in each round, chosen by Jordan to be quick rather than exact."""

LIKE_ADAM = 0.2
"""Root mean square of a step at rate 1; Adam's is about as large, so both take the same rate."""


class Muon(torch.optim.Optimizer):
    """Muon, in float32: torch's own computes in bfloat16, which many processors are slow with.

    Parameters
    ----------
    matrices
        Weights of two axes or more; axes after the first count as one.
    lr
        The rate.
    weight_decay
        As AdamW's.

    Notes
    -----
    Jordan et al., Muon, 2024; sizes of steps as in Liu et al., arXiv 2502.16982.
    """

    def __init__(self, matrices: Iterable[nn.Parameter], lr: float, weight_decay: float) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """Take a step."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                if weight not in self.state:
                    self.state[weight]["mean"] = torch.zeros_like(weight)
                mean = self.state[weight]["mean"]
                mean.lerp_(weight.grad, 1 - MOMENTUM)
                ahead = torch.lerp(weight.grad, mean, MOMENTUM).flatten(1)
                turned = orthogonal(ahead) * LIKE_ADAM * max(ahead.shape) ** 0.5
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.sub_(group["lr"] * turned.reshape_as(weight))


def orthogonal(matrix: Tensor) -> Tensor:
    """Return roughly the matrix ``(M, N)`` with all its singular values made 1."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    first, third, fifth = QUINTIC
    for _ in range(ROUNDS):
        square = x @ x.T
        x = first * x + (third * square + fifth * square @ square) @ x
    return x.T if tall else x
