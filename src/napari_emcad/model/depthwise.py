"""Depth-wise convolution with a fast weight gradient on CPUs.

oneDNN computes the gradient of the weights fast for kernels of 3 × 3 only: in bfloat16 a kernel of
5 × 5 takes ten to twenty times as long. The gradient of a large kernel is therefore put together
from blocks of 3 × 3, which are convolutions over a shifted input.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_BLOCK = 3


class Depthwise(nn.Conv2d):
    """A depth-wise convolution without bias that keeps the size.

    ``(N, C, H, W)`` → ``(N, C, H, W)``.
    """

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__(width, width, kernel, padding=kernel // 2, groups=width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolved map."""
        trained = torch.is_grad_enabled() and self.weight.requires_grad
        if self.kernel_size[0] <= _BLOCK or x.device.type != "cpu" or not trained:
            return super().forward(x)
        weight = self.weight
        if torch.is_autocast_enabled("cpu"):
            half = torch.get_autocast_dtype("cpu")
            x, weight = x.to(half), weight.to(half)
        convolved: Tensor = _BlockwiseGradient.apply(x, weight)
        return convolved


class _BlockwiseGradient(torch.autograd.Function):
    """A depth-wise convolution that keeps the size and computes its weight gradient in blocks."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, padding=weight.shape[-1] // 2, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        grad_x, grad_weight = None, None
        if ctx.needs_input_grad[0]:
            grad_x = _backward(grad, x, weight, weight.shape[-1] // 2, [True, False, False])[0]
        if ctx.needs_input_grad[1]:
            grad_weight = _weight_gradient(grad, x, weight)
        return grad_x, grad_weight


def _weight_gradient(grad: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """Return the gradient of the kernels, in blocks of 3 × 3 of their elements."""
    side = weight.shape[-1]
    reach = side // 2
    surplus = -side % _BLOCK
    padded = F.pad(x, (reach, reach + surplus, reach, reach + surplus))
    height, width = (size + _BLOCK - 1 for size in x.shape[-2:])
    gradient = weight.new_empty((len(weight), 1, side + surplus, side + surplus))
    block = weight.new_empty((len(weight), 1, _BLOCK, _BLOCK))
    for top in range(0, side, _BLOCK):
        for left in range(0, side, _BLOCK):
            shifted = padded[:, :, top : top + height, left : left + width]
            shifted = shifted.contiguous(memory_format=torch.channels_last)
            square = _backward(grad, shifted, block, 0, [False, True, False])[1]
            gradient[:, :, top : top + _BLOCK, left : left + _BLOCK] = square
    return gradient[:, :, :side, :side]


def _backward(
    grad: Tensor, x: Tensor, weight: Tensor, padding: int, mask: list[bool]
) -> tuple[Any, ...]:
    """Return the gradients of input, weights and bias, None where `mask` is False."""
    sizes = [0], [1, 1], [padding, padding], [1, 1], False, [0, 0]
    gradients: tuple[Any, ...] = torch.ops.aten.convolution_backward(
        grad, x, weight, *sizes, len(weight), mask
    )
    return gradients
