"""What a file cannot say is set by hand, within bounds and never against its tensors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_emcad import (
    CheckpointError,
    ClassLabel,
    bundled_checkpoint,
    read_checkpoint,
    write_checkpoint,
)

ASSUMED = ("activation", "dw_parallel", "preprocessing", "head", "classes")


@pytest.fixture
def path(state, save):
    return save(state)


@pytest.fixture
def read(path):
    return read_checkpoint(path)


def test_without_overrides_all_settings_are_assumed(read):
    assert read.assumed == ASSUMED
    assert read.override() == read or read.override().assumed == ASSUMED


@pytest.mark.parametrize(
    ("name", "value", "default"), [("activation", "relu", "relu6"), ("dw_parallel", False, True)]
)
def test_the_unreadable_architecture_can_be_set(name, value, default, path, read):
    assert getattr(read.config, name) == default
    chosen = read_checkpoint(path, **{name: value})
    assert getattr(chosen.config, name) == value
    assert getattr(chosen.network().config, name) == value
    assert chosen.assumed == tuple(each for each in ASSUMED if each != name)


def test_activation_and_branches_change_what_the_network_computes():
    bundled, image = bundled_checkpoint(), torch.ones(1, 3, 32, 32)
    high = {
        name: np.full_like(tensor, 10) if name.endswith("expand.1.bias") else tensor
        for name, tensor in bundled.tensors.items()
    }
    read = replace(bundled, tensors=high)  # so that 6 is reached
    with torch.inference_mode():
        outputs = [
            read.override(**changes).network()(image)[-1]
            for changes in ({}, {"activation": "relu"}, {"dw_parallel": False})
        ]
    assert not torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


@pytest.mark.parametrize("head", ["finest", "sum"])
def test_the_head_can_be_set(head, path):
    chosen = read_checkpoint(path, head=head)
    assert chosen.head == head
    assert "head" not in chosen.assumed


@pytest.mark.parametrize(
    ("given", "size"),
    [(256, (256, 256)), ((96, 128), (96, 128)), ([96, 128], (96, 128)), (None, None)],
)
def test_an_integer_size_is_a_square_and_none_is_native(given, size, path):
    chosen = read_checkpoint(path, size=given)
    assert chosen.preprocessing.size == size
    assert "preprocessing" not in chosen.assumed


def test_a_zoom_is_for_tiles_and_is_reset_by_a_size(read, tmp_path):
    enlarged = read.override(size=None, zoom=1.5)
    write_checkpoint(enlarged, tmp_path / "a.safetensors")
    again = read_checkpoint(tmp_path / "a.safetensors")
    assert again.preprocessing == enlarged.preprocessing
    assert again.override(low=3).preprocessing.zoom == 1.5
    assert again.override(size=64).preprocessing.zoom == 1


def test_one_field_of_preprocessing_keeps_the_others(read):
    chosen = read.override(low=10, high=20)
    assert (chosen.preprocessing.low, chosen.preprocessing.high) == (10, 20)
    assert chosen.preprocessing.mean == read.preprocessing.mean
    assert chosen.preprocessing.size == read.preprocessing.size


def test_classes_take_names_or_labels(read):
    assert read.override(classes=("polyp",)).classes[0].name == "polyp"
    label = ClassLabel("polyp", "#00ff00")
    chosen = read.override(classes=[label])
    assert chosen.classes == (label,)
    assert "classes" not in chosen.assumed


def test_a_title_and_a_description_can_be_set(read):
    chosen = read.override(title="T", description="D")
    assert (chosen.title, chosen.description) == ("T", "D")
    assert chosen.assumed == ASSUMED


def test_overriding_everything_leaves_nothing_assumed(path):
    settings = {"activation": "relu6", "dw_parallel": True, "head": "finest", "size": 352}
    assert read_checkpoint(path, **settings, classes=["polyp"]).assumed == ()


def test_gray_input_brings_gray_preprocessing(path):
    chosen = read_checkpoint(path, input_channels=1)
    assert chosen.config.input_channels == 1
    assert chosen.preprocessing.size == (224, 224)
    assert len(chosen.preprocessing.mean) == 1


def test_values_that_the_tensors_confirm_are_accepted(path, read):
    same = read_checkpoint(path, encoder="pvt_v2_b0", num_classes=1, kernel_sizes=[1, 3, 5])
    assert same.config == read.config


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("encoder", "pvt_v2_b2"),
        ("num_classes", 2),
        ("kernel_sizes", (1, 3)),
        ("expansion_factor", 4),
        ("aggregation", "concat"),
        ("lgag_kernel_size", 1),
    ],
)
def test_overrides_that_contradict_the_tensors_are_refused(name, value, path):
    with pytest.raises(CheckpointError, match=rf"^{name}: the tensors"):
        read_checkpoint(path, **{name: value})


@pytest.mark.parametrize("name", ["sise", "encoder_name", "tensors", "origin", ""])
def test_unknown_names_are_refused_with_the_possible_ones(name, read):
    with pytest.raises(CheckpointError) as caught:
        read.override(**{name: 1})
    assert name in str(caught.value)
    assert "dw_parallel" in str(caught.value)
    assert "size" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("size", 16),
        ("size", (64,)),
        ("size", "large"),
        ("size", 64.5),
        ("activation", "gelu"),
        ("dw_parallel", "yes"),
        ("input_channels", 4),
        ("head", "deepest"),
        ("intensity", "auto"),
        ("over", "channel"),
        ("mean", (0.1, 0.2)),
        ("std", (0.0, 0.1, 0.1)),
        ("low", 300),
        ("low", "x"),
        ("high", float("nan")),
        ("kernel_sizes", 3),
        ("classes", ()),
        ("classes", ("a", "b")),
        ("classes", 5),
        ("classes", "one, two"),
        ("classes", ("two\nlines",)),
        ("classes", ("\x1b[31mred",)),
        ("classes", ("x" * 101,)),
        ("title", 5),
        ("description", None),
        ("size", float("inf")),
        ("size", 5000),
    ],
    ids=lambda each: repr(each)[:20],
)
def test_values_out_of_bounds_are_refused_in_one_sentence(name, value, read):
    with pytest.raises(CheckpointError) as caught:
        read.override(**{name: value})
    assert str(caught.value).splitlines() == [str(caught.value)]
    assert str(caught.value).endswith(".")
    assert "not iterable" not in str(caught.value)


def test_control_characters_are_removed_from_texts(read):
    text = "\x1b[31mone\x07\r\ntwo\tthree\u2028\x85"
    chosen = replace(read.override(title=text, description=text), notes=(text,))
    for each in (chosen.title, chosen.description, chosen.notes[0]):
        assert each == "[31mone\ntwo\tthree"


def test_a_checkpoint_is_printed_in_a_line(read):
    assert "ModelConfig(encoder='pvt_v2_b0'" in repr(read)
    assert "network" in repr(read)
    assert len(repr(read)) < 400


def test_refused_overrides_change_nothing(read):
    before = (read.config, read.preprocessing, read.classes, read.assumed)
    with pytest.raises(CheckpointError):
        read.override(activation="relu", size=3)
    assert (read.config, read.preprocessing, read.classes, read.assumed) == before
