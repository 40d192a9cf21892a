"""Networks that are made without initial weights."""

from __future__ import annotations

import torch

from napari_emcad.model.config import ModelConfig
from napari_emcad.model.network import PvtEmcad
from napari_emcad.model.skip_init import SkipInit


def test_no_random_number_is_drawn_and_names_and_shapes_are_the_same():
    config, before = ModelConfig(num_classes=3), torch.get_rng_state()
    with SkipInit():
        network = PvtEmcad(config, 0.1)
    assert torch.equal(torch.get_rng_state(), before)
    usual = PvtEmcad(config, 0.1)
    assert repr(network) == repr(usual)
    for made in (network.named_parameters, network.named_buffers):
        tensors = dict(made())
        for name, tensor in getattr(usual, made.__name__)():
            found = tensors.pop(name)
            assert (found.shape, found.dtype) == (tensor.shape, tensor.dtype), name
            assert found.requires_grad == tensor.requires_grad, name
        assert not tensors


def test_the_context_ends():
    with SkipInit():
        assert torch.ones(2).add(1).tolist() == [2, 2]
        assert torch.ones(2).fill_(5).tolist() == [1, 1]
        assert torch.ones(2).requires_grad_().requires_grad  # it fills nothing
    assert torch.ones(2).fill_(5).tolist() == [5, 5]
