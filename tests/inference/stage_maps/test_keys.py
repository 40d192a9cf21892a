"""Names of maps: what they mean, and what is said of those that are not there."""

from __future__ import annotations

import pytest

from napari_emcad import MapKey, ModelConfig
from napari_emcad.inference.stage_maps.keys import KINDS, parse_map_keys

ONE, FOUR = ModelConfig(), ModelConfig(num_classes=4)


def test_a_kind_alone_means_each_stage_that_has_it():
    assert [str(k) for k in parse_map_keys("gate", ONE)] == ["gate:3", "gate:2", "gate:1"]
    assert [str(k) for k in parse_map_keys("sum", ONE)] == ["sum:4", "sum:3", "sum:2", "sum:1"]
    assert parse_map_keys(["entropy"], ONE) == (MapKey("entropy"),)


def test_all_is_every_kind_but_flips():
    keys = parse_map_keys("all", ONE)
    assert {key.kind for key in keys} == set(KINDS) - {"flips"}
    assert len(keys) == len(set(keys)) == 4 * 7 + 3 * 2 + 2


def test_names_are_read_back_as_the_same_maps():
    keys = parse_map_keys(["all", "flips", "probability:4:1", "decoder:1:17"], FOUR)
    assert parse_map_keys([str(each) for each in keys], FOUR) == keys
    assert parse_map_keys(keys, FOUR) == keys


def test_each_map_comes_once_in_the_order_asked_for():
    keys = parse_map_keys(["gate:1", "gate", " Gate:2 "], ONE)
    assert [str(each) for each in keys] == ["gate:1", "gate:3", "gate:2"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("spam", "no map 'spam'; the maps are probability"),
        ("gate:x", "write gate:STAGE"),
        ("gate:1:2:3", "write gate:STAGE"),
        ("gate:4", "no map gate:4; gate has stages 3, 2, 1"),
        ("adds:4", "adds has stages 3, 2, 1"),
        ("probability:0", "probability has stages 4, 3, 2, 1"),
        ("entropy:1", "entropy has no stages"),
        ("gate:2:0", "gate:2 has no classes or channels"),
        (
            "decoder:1:32",
            "no channel 32 in the decoder features of stage 1; this network has 0 to 31",
        ),
        ("probability:1:4", "no class 4 in the probability of stage 1; this network has 0 to 3"),
        ([], "No map was asked for"),
    ],
)
def test_what_is_not_there_is_said_in_a_sentence(name, message):
    with pytest.raises(ValueError, match=message):
        parse_map_keys(name, FOUR)


def test_a_binary_network_has_class_1_alone():
    assert parse_map_keys("sum:2:1", ONE) == (MapKey("sum", 2, 1),)
    for name in ("sum:2:0", "sum:2:2"):
        with pytest.raises(ValueError, match="this network has class 1 alone"):
            parse_map_keys(name, ONE)


@pytest.mark.parametrize("kind", ["decoder", "probability", "entropy"])
def test_a_part_without_a_stage_is_refused(kind):
    with pytest.raises(ValueError, match=f"Number 3 of {kind} is of no stage; name one"):
        MapKey(kind, None, 3)


def test_titles_are_words():
    titles = [key.title for key in parse_map_keys(["gate:2", "decoder:1", "decoder:1:7"], ONE)]
    assert titles[0] == "gate, stage 2"
    assert titles[1] == "decoder features, stage 1 as colors"
    assert titles[2] == "decoder features, stage 1, channel 7"
