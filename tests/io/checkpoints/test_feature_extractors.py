"""The general encoder that comes with the package, as features and as the start of a network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_emcad.io.checkpoints.feature_extractors import (
    bundled_encoder_file,
    bundled_feature_extractor,
    read_feature_extractor,
)
from napari_emcad.io.checkpoints.initialize import initialize_checkpoint
from napari_emcad.io.checkpoints.sniff import CheckpointError


def test_the_bundled_extractor_has_four_levels():
    extractor = bundled_feature_extractor()
    assert extractor is bundled_feature_extractor()
    assert extractor.widths == (32, 64, 160, 256)
    with torch.inference_mode():
        levels = extractor.levels(torch.randn(2, 3, 64, 96))
    shapes = [tuple(level.shape) for level in levels]
    assert shapes == [(2, 32, 16, 24), (2, 64, 8, 12), (2, 160, 4, 6), (2, 256, 2, 3)]
    assert not any(parameter.requires_grad for parameter in extractor.encoder.parameters())


def test_a_network_starts_from_the_same_weights():
    with bundled_encoder_file() as path:
        checkpoint = initialize_checkpoint(path)
        weights = load_file(path)
    assert checkpoint.config.encoder == "pvt_v2_b0"
    assert checkpoint.untrained
    for name, tensor in weights.items():
        np.testing.assert_array_equal(checkpoint.tensors[f"encoder.{name}"], tensor.numpy())


def test_names_of_both_forms_of_timm_give_the_same_extractor(tmp_path, tiny_encoder):
    from napari_emcad.model.encoder import create_encoder

    weights = create_encoder(tiny_encoder).state_dict()
    save_file(weights, tmp_path / "features.safetensors")
    dots = {name.replace("stages_", "stages."): tensor for name, tensor in weights.items()}
    save_file(dots, tmp_path / "classifier.safetensors")
    image = torch.randn(1, 3, 64, 64)
    first, second = (
        read_feature_extractor(tmp_path / f"{name}.safetensors").levels(image)
        for name in ("features", "classifier")
    )
    for one, other in zip(first, second, strict=True):
        torch.testing.assert_close(one, other)


def test_another_file_is_refused_by_name(tmp_path):
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match=r"other\.safetensors"):
        read_feature_extractor(tmp_path / "other.safetensors")
