"""Names of maps: how they are parsed, and the messages about maps that do not exist."""

from __future__ import annotations

import numpy as np
import pytest

from napari_emcad import MapKey, ModelConfig, stage_maps
from napari_emcad.inference.stage_maps.keys import parse_map_keys
from napari_emcad.inference.stage_maps.specs import MAP_SPECS, MapSpec, register_map

BINARY, FOUR = ModelConfig(), ModelConfig(num_classes=4)


def test_a_kind_alone_means_all_stages_that_have_it():
    assert [str(k) for k in parse_map_keys("gate", BINARY)] == ["gate:3", "gate:2", "gate:1"]
    assert [str(k) for k in parse_map_keys("sum", BINARY)] == ["sum:4", "sum:3", "sum:2", "sum:1"]
    assert parse_map_keys(["entropy"], BINARY) == (MapKey("entropy"),)


def test_all_is_every_kind_but_flip_disagreement():
    keys = parse_map_keys("all", BINARY)
    assert {key.kind for key in keys} == set(MAP_SPECS) - {"flip_disagreement"}
    assert len(keys) == len(set(keys)) == 4 * 7 + 3 * 2 + 2


def test_names_are_read_back_as_the_same_maps():
    names = ["all", "flip_disagreement", "probability:4:1", "decoder:1:17"]
    keys = parse_map_keys(names, FOUR)
    assert parse_map_keys([str(key) for key in keys], FOUR) == keys
    assert parse_map_keys(keys, FOUR) == keys


def test_repeated_maps_come_once_in_the_order_of_the_names():
    keys = parse_map_keys(["gate:1", "gate", " Gate:2 "], BINARY)
    assert [str(key) for key in keys] == ["gate:1", "gate:3", "gate:2"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("spam", "no map 'spam'; the maps are probability"),
        ("gate:x", "write gate:STAGE"),
        ("gate:1:2:3", "write gate:STAGE"),
        ("gate:4", "no map gate:4; gate has stages 3, 2, 1"),
        ("delta:4", "delta has stages 3, 2, 1"),
        ("probability:0", "probability has stages 4, 3, 2, 1"),
        ("entropy:1", "entropy has no stages"),
        ("gate:2:0", "gate:2 has no classes or channels"),
        (
            "decoder:1:32",
            "no channel 32 in the decoder features of stage 1; this network has 0 to 31",
        ),
        ("probability:1:4", "no class 4 in the probability of stage 1; this network has 0 to 3"),
        ([], "No map was requested"),
    ],
)
def test_a_map_that_does_not_exist_is_refused_with_the_reason(name, message):
    with pytest.raises(ValueError, match=message):
        parse_map_keys(name, FOUR)


def test_a_binary_network_has_class_1_alone():
    assert parse_map_keys("sum:2:1", BINARY) == (MapKey("sum", 2, 1),)
    for name in ("sum:2:0", "sum:2:2"):
        with pytest.raises(ValueError, match="this network has class 1 alone"):
            parse_map_keys(name, BINARY)


@pytest.mark.parametrize("kind", ["decoder", "probability", "entropy"])
def test_a_part_without_a_stage_is_refused(kind):
    with pytest.raises(ValueError, match=f"{kind} with number 3 needs a stage"):
        MapKey(kind, None, 3)


def test_titles_are_words():
    titles = [key.title for key in parse_map_keys(["gate:2", "decoder:1", "decoder:1:7"], BINARY)]
    assert titles[0] == "gate, stage 2"
    assert titles[1] == "decoder features, stage 1 as colors"
    assert titles[2] == "decoder features, stage 1, channel 7"


@pytest.mark.parametrize(
    ("old", "new"), [("adds", "delta"), ("adds:2:1", "delta:2:1"), ("flips", "flip_disagreement")]
)
def test_names_of_release_0_1_are_still_read(old, new):
    with pytest.warns(FutureWarning, match=f"The map {old.split(':')[0]} is now called"):
        keys = parse_map_keys(old, FOUR)
    assert keys == parse_map_keys(new, FOUR)


@pytest.fixture
def made_up():
    """Register two maps that the package does not have, for one test."""
    register_map(
        MapSpec(
            kind="closed_gate",
            title="closed gate",
            label="closed",
            description="What the gate holds back",
            group="attention",
            stages=(3, 2, 1),
            record=lambda stage: None if stage.gate is None else 1 - stage.gate,
            compute=lambda maps, key: maps.recorded[key][0],
        )
    )
    register_map(
        MapSpec(
            kind="double",
            title="doubled logits",
            label="double",
            description="Twice the logits",
            group="class",
            heads=lambda stage, head: (stage,),
            compute=lambda maps, key: 2 * maps.logits(key.map_stage),
            limits="symmetric",
            colormap="diverging",
        )
    )
    yield
    del MAP_SPECS["closed_gate"], MAP_SPECS["double"]


def test_a_new_kind_of_map_is_one_entry(made_up, checkpoint):
    image = np.random.default_rng(0).integers(0, 255, (72, 100, 3), np.uint8)
    names = ["closed_gate:2", "double", "gate:2", "logits"]
    maps = stage_maps(image, checkpoint(num_classes=3), names, tile=64)[0]
    closed = maps["closed_gate:2"]
    np.testing.assert_allclose(closed.values, 1 - maps["gate:2"].values, atol=1e-6)
    assert closed.extent == maps["gate:2"].extent
    for stage in (4, 3, 2, 1):
        doubled, logits = maps[f"double:{stage}"], maps[f"logits:{stage}"]
        np.testing.assert_array_equal(doubled.values, 2 * logits.values)
        assert doubled.diverging
        assert doubled.limits[1] == pytest.approx(2 * logits.limits[1])
    assert {"closed_gate", "double"} <= {key.kind for key in parse_map_keys("all", BINARY)}
