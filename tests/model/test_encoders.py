"""A new encoder of the PVTv2 family is one entry of the registry."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from napari_emcad import ModelConfig, PvtEmcad
from napari_emcad.io.checkpoints.published import (
    check_shapes,
    infer_config,
    to_native,
    to_published,
)
from napari_emcad.model.encoders import ENCODERS, EncoderSpec
from napari_emcad.model.macs import count_macs
from napari_emcad.model.tensor_shapes import tensor_shapes
from napari_emcad.training.config import TrainingConfig
from napari_emcad.training.trainer import Trainer

LINEAR = EncoderSpec("pvt_v2_b2_li", (64, 128, 320, 512), (3, 4, 6, 3), linear_attention=True)


@pytest.fixture
def linear(monkeypatch):
    """Register PVTv2-B2-Li, which the package does not offer, and return a configuration."""
    monkeypatch.setitem(ENCODERS, LINEAR.name, LINEAR)
    return ModelConfig(LINEAR.name, num_classes=4)


def weightless(config):
    with torch.device("meta"):
        return PvtEmcad(config).eval()


def test_its_table_is_the_state_dict(linear):
    real = weightless(linear).state_dict()
    assert tensor_shapes(linear) == {name: tuple(tensor.shape) for name, tensor in real.items()}


@pytest.mark.parametrize("size", [(64, 96), (256, 256)])
def test_its_macs_are_half_of_torchs_flops(linear, size):
    with FlopCounterMode(display=False) as counter:
        weightless(linear)(torch.empty(1, 3, *size, device="meta"))
    assert count_macs(linear, *size) == counter.get_total_flops() / 2


def test_its_published_names_are_read_back(linear):
    shapes = tensor_shapes(linear)
    published = to_published(shapes)
    assert infer_config(published) == linear
    check_shapes(published, linear)
    assert to_native(published, linear) == shapes
    plain = ModelConfig("pvt_v2_b2", num_classes=4)  # as wide and as deep
    assert infer_config(to_published(tensor_shapes(plain))) == plain


def test_its_stages_are_frozen(linear):
    network = PvtEmcad(linear)
    Trainer(network, TrainingConfig(train="stage4"))
    trained = {
        name.split(".")[0] for name, p in network.encoder.named_parameters() if p.requires_grad
    }
    assert trained == {"stages_3"}


@pytest.mark.parametrize("name", ENCODERS)
def test_the_stages_make_up_the_encoder(name):
    spec = ENCODERS[name]
    modules = [module for stage in (1, 2, 3, 4) for module in spec.stage_modules(stage)]
    assert sorted({tensor.split(".")[0] for tensor, _ in spec.tensors()}) == sorted(modules)
