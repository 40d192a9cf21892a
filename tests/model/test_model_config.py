from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, asdict

import numpy as np
import pytest

from napari_emcad import ModelConfig
from napari_emcad.model.encoders import ENCODERS

BAD = [
    ("encoder", "resnet50"),
    ("encoder", "pvt_v2_b6"),
    ("encoder", ["pvt_v2_b0"]),
    ("num_classes", 0),
    ("num_classes", -1),
    ("num_classes", 65_536),
    ("num_classes", 2.5),
    ("input_channels", 0),
    ("input_channels", 2),
    ("input_channels", 4),
    ("kernel_sizes", ()),
    ("kernel_sizes", (2,)),
    ("kernel_sizes", (1, 4)),
    ("kernel_sizes", (1, -3)),
    ("kernel_sizes", (1.5,)),
    ("kernel_sizes", (33,)),
    ("kernel_sizes", 1),
    ("kernel_sizes", "13"),
    ("expansion_factor", 0),
    ("expansion_factor", -2),
    ("expansion_factor", 1.5),
    ("dw_parallel", "yes"),
    ("dw_parallel", 1),
    ("aggregation", "sum"),
    ("lgag_kernel_size", 0),
    ("lgag_kernel_size", 4),
    ("lgag_kernel_size", -1),
    ("lgag_kernel_size", 3.5),
    ("lgag_kernel_size", 33),
    ("activation", "gelu"),
]


@pytest.mark.parametrize(("name", "value"), BAD, ids=str)
def test_a_bad_value_is_refused_by_its_name(name, value):
    with pytest.raises(ValueError, match=f"^{name} is .* it must be") as raised:
        ModelConfig(**{name: value})
    assert repr(value) in str(raised.value)


def test_the_defaults_are_the_published_options():
    config = ModelConfig()
    assert (config.kernel_sizes, config.expansion_factor, config.lgag_kernel_size) == (
        (1, 3, 5),
        2,
        3,
    )
    assert (config.dw_parallel, config.aggregation, config.activation) == (True, "add", "relu6")


def test_a_list_of_kernel_sizes_becomes_a_tuple():
    config = ModelConfig(kernel_sizes=[1, 3])
    assert config == ModelConfig(kernel_sizes=(1, 3))
    assert hash(config) == hash(ModelConfig(kernel_sizes=(1, 3)))


def test_numpy_integers_become_python_integers():
    numbers = {"num_classes": np.int64(3), "input_channels": np.uint8(1)}
    config = ModelConfig(kernel_sizes=np.array([1, 31]), **numbers)
    assert config == ModelConfig(num_classes=3, input_channels=1, kernel_sizes=(1, 31))
    assert json.dumps(asdict(config))


def test_a_config_is_frozen():
    with pytest.raises(FrozenInstanceError):
        ModelConfig().num_classes = 3


@pytest.mark.parametrize("encoder", ENCODERS)
def test_decoder_widths_are_the_encoders_deepest_first(encoder):
    config = ModelConfig(encoder)
    assert list(config.widths) == [4, 3, 2, 1]
    assert tuple(reversed(config.widths.values())) == config.encoder_spec.widths
