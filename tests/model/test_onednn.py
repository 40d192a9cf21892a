"""Layers of oneDNN compute what torch's layers compute."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from napari_emcad import create_model
from napari_emcad.model import onednn
from napari_emcad.model.onednn import (
    ConvGelu,
    OneDnnLinear,
    PatchConv,
    avoid_wrong_convolutions,
    has_onednn,
    use_onednn,
)
from napari_emcad.model.precision import has_bfloat16_instructions

needs_onednn = pytest.mark.skipif(not has_onednn(), reason="torch has no oneDNN operators")


@needs_onednn
@given(
    shape=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    sizes=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    bias=st.booleans(),
)
def test_linear_layers_agree(shape, sizes, bias):
    linear = nn.Linear(*sizes, bias=bias)
    x = torch.randn(*shape, sizes[0])
    with torch.inference_mode():
        torch.testing.assert_close(OneDnnLinear(linear)(x), linear(x), rtol=1e-5, atol=1e-5)


@needs_onednn
@given(
    groups=st.integers(1, 8),
    size=st.tuples(st.integers(1, 3), st.integers(3, 20), st.integers(3, 20)),
    stride=st.integers(1, 2),
    last=st.booleans(),
)
def test_convolutions_with_gelu_agree(groups, size, stride, last):
    conv = nn.Conv2d(2 * groups, 2 * groups, 3, stride, padding=1, groups=groups)
    batch, height, width = size
    x = torch.randn(batch, 2 * groups, height, width)
    if last:
        x = x.to(memory_format=torch.channels_last)
    with torch.inference_mode():
        torch.testing.assert_close(ConvGelu(conv)(x), F.gelu(conv(x)), rtol=1e-5, atol=1e-5)


@needs_onednn
@pytest.mark.parametrize("encoder", ["pvt_v2_b0", "pvt_v2_b1"])
def test_a_network_computes_the_same(encoder):
    network = create_model(encoder=encoder).eval()
    x = torch.rand(2, 3, 64, 96)
    with torch.inference_mode():
        before = network(x)
        use_onednn(network)
        after = network(x)
    counts = [sum(isinstance(m, kind) for m in network.modules()) for kind in (nn.Linear, nn.GELU)]
    assert counts == [0, 0]
    assert not any(module.training for module in network.modules())
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-4)


@needs_onednn
@pytest.mark.skipif(not has_bfloat16_instructions(), reason="this CPU has no bfloat16")
def test_in_bfloat16_it_is_as_near_to_float32_as_torch():
    network = create_model().eval()
    x = torch.rand(1, 3, 128, 128)
    with torch.inference_mode():
        exact = network(x)[-1]
        half = network.to(torch.bfloat16)
        plain = half(x.bfloat16())[-1].float()
        use_onednn(half)
        fast = half(x.bfloat16())[-1].float()
    assert (fast - exact).abs().mean() <= 1.5 * (plain - exact).abs().mean()


def test_a_torch_without_the_operators_keeps_its_layers(monkeypatch):
    monkeypatch.setattr(onednn, "_OPERATORS", ("_no_such_operator",))
    network = create_model().eval()
    kinds = [type(module) for module in network.modules()]
    use_onednn(network)
    assert [type(module) for module in network.modules()] == kinds


def test_an_approximate_gelu_stays():
    assert not onednn._is_exact_gelu(nn.GELU(approximate="tanh"))
    assert not onednn._is_exact_gelu(nn.ReLU())


@given(
    channels=st.tuples(st.integers(1, 24), st.integers(1, 24)),
    side=st.integers(2, 8),
    size=st.tuples(st.integers(1, 3), st.integers(8, 40), st.integers(8, 40)),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
)
def test_convolutions_of_patches_agree(channels, side, size, dtype):
    conv = nn.Conv2d(*channels, side, side)
    network = nn.Sequential(conv)
    avoid_wrong_convolutions(network)
    assert isinstance(network[0], PatchConv)
    batch, height, width = size
    x = torch.randn(batch, channels[0], height, width)
    with torch.inference_mode():
        expected = conv(x)
        found = network.to(dtype)(x.to(dtype)).float()
    assert found.shape == expected.shape
    error = (found - expected).abs().max() / expected.abs().max().clamp(min=1e-3)
    assert error < (1e-4 if dtype == torch.float32 else 0.03)


@pytest.mark.parametrize("encoder", ["pvt_v2_b0", "pvt_v2_b1"])
def test_networks_of_timm_have_no_wrong_convolutions(encoder):
    network = create_model(encoder=encoder).eval()
    avoid_wrong_convolutions(network)
    assert not any(isinstance(module, PatchConv) for module in network.modules())
