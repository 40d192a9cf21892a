"""An architecture is read off the shapes of published tensors."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emcad import CheckpointError, ModelConfig, read_checkpoint
from napari_emcad.io.checkpoints import published
from napari_emcad.model.encoders import ENCODERS
from napari_emcad.model.tensor_shapes import tensor_shapes

READABLE = {
    "num_classes": (1, 2, 9, 300),
    "kernel_sizes": ((1,), (3, 3), (1, 3, 5), (5, 3, 1), (1, 3, 5, 7)),
    "expansion_factor": (1, 2, 4),
    "aggregation": ("add", "concat"),
    "lgag_kernel_size": (1, 3, 5),
}
UNREADABLE = {"activation": "relu6", "dw_parallel": True, "input_channels": 3}

configs = st.builds(
    ModelConfig,
    encoder=st.sampled_from(sorted(ENCODERS)),
    num_classes=st.integers(1, 400),
    input_channels=st.sampled_from([1, 3]),
    kernel_sizes=st.lists(st.sampled_from([1, 3, 5, 7, 9]), min_size=1, max_size=4).map(tuple),
    expansion_factor=st.integers(1, 6),
    dw_parallel=st.booleans(),
    aggregation=st.sampled_from(["add", "concat"]),
    lgag_kernel_size=st.sampled_from([1, 3, 5, 7]),
    activation=st.sampled_from(["relu6", "relu"]),
)


def shapes_of(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    return published.to_published(tensor_shapes(config))


def as_readable(config: ModelConfig) -> ModelConfig:
    """Return the config with what leaves no trace in shapes at its default."""
    if len(config.kernel_sizes) == 1:  # one branch: adding and joining are the same
        config = replace(config, aggregation="add")
    return replace(config, **UNREADABLE)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_encoder_follows_from_the_shapes(encoder):
    config = ModelConfig(encoder)
    assert published.infer_config(shapes_of(config)) == config


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in READABLE.items() for value in values]
)
def test_options_that_change_shapes_follow_from_the_shapes(name, value):
    config = ModelConfig(**{name: value})
    assert published.infer_config(shapes_of(config)) == config


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(configs)
def test_the_architecture_of_a_networks_shapes_is_the_network(config):
    shapes = shapes_of(config)
    config_from_shapes = published.infer_config(shapes)
    assert config_from_shapes == as_readable(config)
    published.check_shapes(shapes, config_from_shapes)


@settings(max_examples=20, deadline=None, database=None, derandomize=True)
@given(configs)
def test_tensor_names_survive_a_round_trip(config):
    ours = {name: name for name in tensor_shapes(config)}
    theirs = published.to_published(ours)
    assert len(theirs) == len(ours)
    assert published.to_native(theirs, config) == ours


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(configs, st.data())
def test_a_changed_set_of_shapes_is_never_accepted(config, data):
    shapes = shapes_of(config)
    name = data.draw(st.sampled_from(sorted(shapes)))
    change = data.draw(st.sampled_from(["missing", "other shape", "surplus"]))
    if change == "missing":
        del shapes[name]
    elif change == "other shape":
        shapes[name] = (*shapes[name], 2)
    else:
        shapes[f"{name}.more"] = shapes[name]
    with pytest.raises(CheckpointError):
        published.check_shapes(shapes, published.infer_config(shapes))


@pytest.mark.parametrize(
    "config",
    [
        ModelConfig(num_classes=9, kernel_sizes=(3,), lgag_kernel_size=1),
        ModelConfig("pvt_v2_b1", expansion_factor=1, aggregation="concat", kernel_sizes=(1, 3)),
    ],
)
def test_files_of_unusual_networks_open_and_run(config, state_of, save):
    read = read_checkpoint(save(state_of(config)))
    assert read.config == config
    assert len(read.classes) == max(config.num_classes - 1, 1)
    assert read.network().config == config
