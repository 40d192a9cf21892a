"""What a shelf shows of a model, without reading its weights."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_emcad.io.checkpoints.files import write_checkpoint
from napari_emcad.io.checkpoints.native import read_native_description
from napari_emcad.io.checkpoints.sniff import CheckpointError
from napari_emcad.io.model_shelf import summarize_model
from napari_emcad.pipelines.model_presets import MODEL_PRESETS, preset_summary


def test_a_description_is_the_checkpoint_without_its_tensors(tiny_checkpoint, tmp_path):
    path = tmp_path / "model.safetensors"
    write_checkpoint(tiny_checkpoint, path)
    described = read_native_description(path)
    assert not described.tensors
    assert summarize_model(described) == summarize_model(tiny_checkpoint)
    assert (described.config, described.classes) == (
        tiny_checkpoint.config,
        tiny_checkpoint.classes,
    )


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_what_is_no_model_is_refused(tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError):
        read_native_description(path)


def test_text_of_a_file_cannot_spoil_the_list(tiny_checkpoint):
    model = replace(tiny_checkpoint, title="a\x1b[31m", description="many\nlines " * 50)
    summary = summarize_model(model)
    assert "\x1b" not in summary.title
    assert "\n" not in summary.purpose
    assert len(summary.purpose) <= 60


@pytest.mark.parametrize("dice", ["0.9", None, [1], {}])
def test_a_dice_of_another_type_is_left_out(tiny_checkpoint, dice):
    assert summarize_model(replace(tiny_checkpoint, history=({"best_dice": dice},))).dice is None


@pytest.mark.parametrize("title", MODEL_PRESETS)
def test_presets_name_classes_and_image(title):
    summary, values = preset_summary(title), MODEL_PRESETS[title]
    assert summary.purpose == ", ".join(values["classes"])
    assert summary.expects.startswith(str(values["input_channels"]))
    assert len(summary.colors) == len(values["classes"])
