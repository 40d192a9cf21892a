"""Muon: an optimizer that orthogonalizes the updates of matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor, nn

MOMENTUM = 0.95
"""Decay of the running mean of gradients per step."""

ITERATIONS = 5
"""Number of Newton-Schulz iterations; singular values then are about 0.7 … 1.2."""

QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients of x, x³ and x⁵ per iteration; Jordan chose them for speed over accuracy."""

STEP_RMS = 0.2
"""Root mean square of an update at rate 1; like that of Adam, so that both use the same rate."""


class Muon(torch.optim.Optimizer):
    """Muon in float32; the one in torch computes in bfloat16, which is slow on many processors.

    Parameters
    ----------
    matrices
        Weights with two or more axes; all axes after the first are flattened.
    lr
        Learning rate.
    weight_decay
        Decoupled weight decay, as in AdamW.

    Notes
    -----
    Jordan et al., Muon, 2024; update scale as in Liu et al., arXiv 2502.16982.
    """

    def __init__(self, matrices: Iterable[nn.Parameter], lr: float, weight_decay: float) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """Update the weights by one step."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                if weight not in self.state:
                    self.state[weight]["mean"] = torch.zeros_like(weight)
                mean = self.state[weight]["mean"]
                mean.lerp_(weight.grad, 1 - MOMENTUM)
                nesterov = torch.lerp(weight.grad, mean, MOMENTUM).flatten(1)
                update = orthogonalize(nesterov) * STEP_RMS * max(nesterov.shape) ** 0.5
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.sub_(group["lr"] * update.reshape_as(weight))


def orthogonalize(matrix: Tensor) -> Tensor:
    """Return a matrix ``(M, N)`` with singular values of about 1 and the same singular vectors."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    first, third, fifth = QUINTIC
    for _ in range(ITERATIONS):
        square = x @ x.T
        x = first * x + (third * square + fifth * square @ square) @ x
    return x.T if tall else x
