"""Large depth-wise kernels: the blockwise gradients equal torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from napari_emcad.model import depthwise
from napari_emcad.model.depthwise import Depthwise


def gradients(module, x, weights):
    x = x.clone().requires_grad_()
    module.zero_grad()
    (module(x) * weights).sum().backward()
    return x.grad, module.weight.grad


@pytest.mark.parametrize("kernel", [1, 3, 5, 7, 9, 11])
@pytest.mark.parametrize("shape", [(2, 4, 9, 13), (1, 3, 1, 1), (2, 5, 2, 40)])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_values_and_gradients_are_those_of_torch(kernel, shape, order):
    torch.manual_seed(kernel)
    own = Depthwise(shape[1], kernel).double()
    torchs = nn.Conv2d(
        shape[1], shape[1], kernel, padding=kernel // 2, groups=shape[1], bias=False
    ).double()
    torchs.load_state_dict(own.state_dict())
    x = torch.randn(shape, dtype=torch.float64).contiguous(memory_format=order)
    weights = torch.randn(shape, dtype=torch.float64)
    assert torch.equal(own(x), torchs(x))
    for mine, wanted in zip(gradients(own, x, weights), gradients(torchs, x, weights), strict=True):
        assert torch.allclose(mine, wanted, rtol=1e-12, atol=1e-12)


def test_finite_differences_agree():
    torch.manual_seed(0)
    module = Depthwise(2, 5).double()
    x = torch.randn(1, 2, 6, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(depthwise._BlockwiseGradient.apply, (x, module.weight))


def test_half_precision_is_as_exact_as_torchs():
    torch.manual_seed(0)
    module, x = Depthwise(8, 5), torch.randn(2, 8, 32, 32)
    exact = gradients(module, x, torch.ones_like(x))[1].clone()
    with torch.autocast("cpu", torch.bfloat16):
        halved = module(x)
        assert halved.dtype == torch.bfloat16
    module.zero_grad()
    halved.sum().backward()
    assert module.weight.grad.dtype == torch.float32
    assert (module.weight.grad - exact).abs().max() < 0.02 * exact.abs().max()


def test_a_frozen_kernel_and_a_frozen_input_get_no_gradient():
    module, x = Depthwise(2, 5), torch.randn(1, 2, 8, 8)
    module(x).sum().backward()
    assert module.weight.grad is not None
    module.requires_grad_(requires_grad=False)
    x.requires_grad_()
    module.weight.grad = None
    module(x).sum().backward()
    assert module.weight.grad is None
    assert x.grad is not None


def test_the_blocks_are_used_where_kernels_are_large(monkeypatch):
    used = []
    real = depthwise._weight_gradient
    monkeypatch.setattr(depthwise, "_weight_gradient", lambda *a: used.append(1) or real(*a))
    for kernel in (3, 5):
        Depthwise(2, kernel)(torch.randn(1, 2, 8, 8)).sum().backward()
    assert used == [1]
