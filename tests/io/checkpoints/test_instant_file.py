"""Files of instant models: a round trip, and refusals that say what to do."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from property_tests import examples
from safetensors import safe_open
from safetensors.numpy import save_file

import napari_emcad
from napari_emcad.io.checkpoints.feature_extractors import bundled_feature_extractor
from napari_emcad.io.checkpoints.instant_model import is_instant_file


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)


@pytest.fixture(scope="module")
def model(picture):
    scribbles = np.zeros(picture.shape[:2], np.uint8)
    scribbles[8:14, 8:40], scribbles[30:36, 8:40], scribbles[50:56, 8:40] = 1, 2, 255
    return napari_emcad.fit_instant([picture], [scribbles], classes=["cell", "fiber"])


@pytest.fixture
def file(model, tmp_path):
    path = tmp_path / "cells.safetensors"
    napari_emcad.write_instant(model, path)
    return path


def changed(path, tensors=(), **metadata):
    """Write the file again with other tensors and metadata."""
    with safe_open(path, "numpy") as file:
        old, names = file.metadata(), list(file.keys())
        arrays = {name: file.get_tensor(name) for name in names}
    arrays |= dict(tensors)
    kept = {name: array for name, array in arrays.items() if array is not None}
    save_file(kept, path, {k: v for k, v in (old | metadata).items() if v is not None})


def refusal(path):
    with pytest.raises(napari_emcad.CheckpointError) as error:
        napari_emcad.read_instant(path)
    message = str(error.value)
    assert message.startswith(f"{path.name} cannot be opened as an instant model: ")
    assert message.count("\n") == 0
    return message


def test_it_predicts_the_same_after_a_round_trip(model, file, picture):
    assert is_instant_file(file)
    assert file.stat().st_size < 100_000  # without the encoder
    again = napari_emcad.read_instant(file)
    assert again.classes == model.classes
    assert again.preprocessing == model.preprocessing
    assert again.strokes == model.strokes == 3
    assert again.origin.path == str(file)
    before = napari_emcad.segment(picture, model, probabilities=True)
    after = napari_emcad.segment(picture, again, probabilities=True)
    np.testing.assert_array_equal(before.probabilities, after.probabilities)


def test_another_encoder_is_refused(file):
    other = bundled_feature_extractor().to(torch.device("meta"))
    extractor = replace(other, name="other", encoder=torch.nn.Linear(2, 2))
    with pytest.raises(napari_emcad.CheckpointError, match="features of another encoder"):
        napari_emcad.read_instant(file, extractor)


@pytest.mark.parametrize(
    ("tensors", "metadata", "reason"),
    [
        ({"probe0.bias": np.zeros(2, np.float32)}, {}, "names or shapes"),
        ({"probe1.bias": None}, {}, "names or shapes"),
        ({"more": np.zeros(2, np.float32)}, {}, "names or shapes"),
        ({"probe0.bias": np.full(3, np.nan, np.float32)}, {}, "not finite"),
        ({}, {"format_version": "2"}, "update napari-emcad"),
        ({}, {"format": "napari-emcad"}, "read_checkpoint"),
        ({}, {"classes": "[1, 2]"}, "damaged"),
        ({}, {"classes": None}, "damaged"),
        ({}, {"preprocessing": "{"}, "damaged"),
        ({}, {"preprocessing": "3"}, "damaged"),
        ({}, {"strokes": '"many"'}, "damaged"),
        ({}, {"zooms": "[1.0]"}, "names or shapes"),
        ({}, {"zooms": "[1.0, 1e9]"}, "zooms"),
        ({}, {"zooms": "[]"}, "zooms"),
    ],
)
def test_what_is_wrong_is_named(file, tensors, metadata, reason):
    changed(file, tensors, **metadata)
    assert reason in refusal(file)


@given(st.sampled_from(["classes", "preprocessing", "encoder_sha256", "strokes"]), st.data())
@settings(max_examples=examples(20))
def test_any_metadata_gives_a_model_or_a_refusal(model, tmp_path_factory, key, data):
    file = tmp_path_factory.mktemp("odd") / "odd.safetensors"
    napari_emcad.write_instant(model, file)
    leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
    value = data.draw(st.recursive(leaves, lambda inner: st.lists(inner, max_size=3)))
    changed(file, **{key: json.dumps(value)})
    with suppress(napari_emcad.CheckpointError):
        napari_emcad.read_instant(file)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x02."])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "file.safetensors"
    path.write_bytes(content)
    assert not is_instant_file(path)
    assert refusal(path)


def test_a_cut_file_is_refused(file):
    file.write_bytes(file.read_bytes()[:-10])
    assert not is_instant_file(file)
    assert "cut short" in refusal(file)


def test_checkpoints_and_instant_models_name_each_other(file, tmp_path):
    with pytest.raises(napari_emcad.CheckpointError, match="read_instant in Python"):
        napari_emcad.read_checkpoint(file)
    path = tmp_path / "model.safetensors"
    napari_emcad.write_checkpoint(napari_emcad.bundled_checkpoint(), path)
    assert not is_instant_file(path)
    assert "read_checkpoint" in refusal(path)


@pytest.mark.parametrize("name", ["model.pth", "model"])
def test_it_is_written_as_safetensors_only(model, tmp_path, name):
    with pytest.raises(napari_emcad.CheckpointError, match=r"must end in \.safetensors"):
        napari_emcad.write_instant(model, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_named(model, tmp_path):
    with pytest.raises(napari_emcad.CheckpointError, match="cannot be written"):
        napari_emcad.write_instant(model, tmp_path / "no" / "model.safetensors")
