"""Half precision of a CPU is the default where it is fast, is named, and agrees with float32."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_emcad import create_model, segment
from napari_emcad.inference.fast_network import fast_copy
from napari_emcad.model.feature_probe import FeatureProbe
from napari_emcad.model.network import PvtEmcad

CPU, BFLOAT16 = torch.device("cpu"), torch.bfloat16


@pytest.fixture
def weight_types(instead):
    """Return the types of the weights of the networks that predict from now on."""
    types = []

    def predict(real, network, x, head):
        types.append(next(network.parameters()).dtype)
        assert not torch.is_autocast_enabled("cpu"), "weights are converted once, not per call"
        output = real(network, x, head)
        assert output.dtype == torch.float32
        return output

    instead(predict)
    return types


def test_a_fast_cpu_computes_in_bfloat16_and_the_summary_names_it(
    with_bfloat16, checkpoint, picture, weight_types
):
    model = checkpoint()
    half = segment(picture, model, device="cpu", probabilities=True)
    assert half.summary.device.endswith(", bfloat16")
    full = segment(picture, model, device="cpu", probabilities=True, full_precision=True)
    assert "bfloat16" not in full.summary.device
    assert segment(picture, model, device="cpu").summary.device == half.summary.device
    assert weight_types == [BFLOAT16, torch.float32, BFLOAT16]
    difference = np.abs(half.probabilities - full.probabilities).max()
    assert 0 < difference < 0.02


def test_a_slow_cpu_computes_in_float32(checkpoint, picture, weight_types):
    assert "bfloat16" not in segment(picture, checkpoint(), device="cpu").summary.device
    assert weight_types == [torch.float32]


@pytest.mark.parametrize("num_classes", [1, 9])
@pytest.mark.parametrize("head", ["finest", "sum"])
@pytest.mark.parametrize("zoom", [1.0, 1.5])
def test_logits_are_float32_and_close(tiny_encoder, num_classes, head, zoom):
    network = create_model(encoder=tiny_encoder, num_classes=num_classes).eval()
    x = torch.rand(2, 3, 70, 96, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = network.predict(x, head, zoom)
        found = fast_copy(network, CPU, BFLOAT16).predict(x, head, zoom)
    assert found.dtype == torch.float32
    assert (found - expected).abs().max() < 0.03 * expected.abs().max()


def test_the_copy_leaves_the_network_in_float32(tiny_encoder):
    network = create_model(encoder=tiny_encoder).eval()
    fast_copy(network, CPU, BFLOAT16)
    assert {one.dtype for one in network.parameters()} == {torch.float32}


def test_the_linear_weights_of_an_instant_model_stay_in_float32():
    assert PvtEmcad.half_weights
    assert not FeatureProbe.half_weights
