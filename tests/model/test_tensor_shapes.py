from __future__ import annotations

from functools import cache

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from napari_emcad import ModelConfig, PvtEmcad
from napari_emcad.model.encoders import ENCODERS
from napari_emcad.model.macs import count_macs
from napari_emcad.model.skip_init import SkipInit
from napari_emcad.model.tensor_shapes import count_parameters, tensor_shapes

CONFIGS = {
    **{encoder: ModelConfig(encoder) for encoder in ENCODERS},
    "gray": ModelConfig(num_classes=9, input_channels=1),
    "one kernel": ModelConfig(kernel_sizes=(3,), dw_parallel=False),
    "concat": ModelConfig(kernel_sizes=(1, 3, 5, 7), aggregation="concat"),
    "wide": ModelConfig(expansion_factor=6, aggregation="concat", dw_parallel=False),
    "narrow": ModelConfig(expansion_factor=1, activation="relu"),
    "gate kernel 1": ModelConfig("pvt_v2_b1", lgag_kernel_size=1),
    "gate kernel 5": ModelConfig(lgag_kernel_size=5),
}
every_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


@cache
def weightless(config):
    with torch.device("meta"), SkipInit():
        return PvtEmcad(config).eval()


@every_config
def test_the_table_is_the_state_dict(config):
    real = weightless(config).state_dict()
    table = tensor_shapes(config)
    assert list(table) == list(real)
    assert table == {name: tuple(tensor.shape) for name, tensor in real.items()}


@every_config
def test_parameters_are_counted_from_the_table(config):
    assert count_parameters(config) == sum(each.numel() for each in weightless(config).parameters())


@pytest.mark.parametrize(
    ("encoder", "whole", "decoder"),
    [("pvt_v2_b0", 3_916_795, 506_507), ("pvt_v2_b2", 26_764_411, 1_913_515)],
)
def test_sizes_are_the_published_ones(encoder, whole, decoder):
    network = weightless(ModelConfig(encoder))
    assert count_parameters(network.config) == whole
    assert sum(each.numel() for each in network.decoder.parameters()) == decoder


def torch_macs(network, height, width):
    with FlopCounterMode(display=False) as counter:
        network(torch.empty(1, network.config.input_channels, height, width, device="meta"))
    return counter.get_total_flops() / 2


@every_config
def test_macs_are_half_of_torchs_flops(config):
    assert count_macs(config, 64, 96) == torch_macs(weightless(config), 64, 96)


@pytest.mark.parametrize("name", ["pvt_v2_b0", "pvt_v2_b2"])
@pytest.mark.parametrize("side", [256, 352])
def test_macs_are_half_of_torchs_flops_at_the_published_sizes(name, side):
    config = CONFIGS[name]
    assert count_macs(config, side, side) == torch_macs(weightless(config), side, side)


@pytest.mark.parametrize(
    ("encoder", "at_256", "at_352"), [("pvt_v2_b0", 0.888, 1.79), ("pvt_v2_b2", 5.79, 11.36)]
)
def test_macs_are_the_measured_ones(encoder, at_256, at_352):
    config = ModelConfig(encoder)
    assert count_macs(config, 256, 256) / 1e9 == pytest.approx(at_256, abs=0.006)
    assert count_macs(config, 352, 352) / 1e9 == pytest.approx(at_352, abs=0.006)
