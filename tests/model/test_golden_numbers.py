from __future__ import annotations

import numpy as np
import pytest
import torch
from golden.fill import CASES, answers, case, golden_input
from torch.nn import functional as F

STRIDES = {4: 32, 3: 16, 2: 8, 1: 4}
close = {"rtol": 0, "atol": 1e-4}


@pytest.fixture(scope="module", params=CASES)
def golden(request, golden_network):
    """Return a network, its input and its expected outputs."""
    channels = case(request.param)["input_channels"]
    return golden_network(request.param), golden_input(channels), answers(request.param)


@pytest.fixture(scope="module")
def inside(golden):
    network, x, _ = golden
    with torch.inference_mode():
        return network.forward_intermediates(x)


def found(inside, name):
    """Return a golden array's counterpart: encoder_3 → inside[3].encoder."""
    field, stage = name.rsplit("_", 1)
    return getattr(inside[int(stage)], field).numpy()


def test_every_recorded_map_of_every_stage_agrees(golden, inside):
    recorded = {name: array for name, array in golden[2].items() if not name.startswith("full")}
    assert len(recorded) == 4 * 5 + 3  # maps, attentions and logits; three stages have gates
    for name, expected in recorded.items():
        np.testing.assert_allclose(found(inside, name), expected, **close, err_msg=name)


def test_the_prediction_is_the_finest_head_at_the_size_of_the_input(golden):
    network, x, expected = golden
    with torch.inference_mode():
        full = network.predict(x).numpy()
    np.testing.assert_allclose(full, expected["full_logits_1"], **close)


def test_enlarged_heads_have_the_recorded_mean_and_magnitude(golden, inside):
    for stage, stride in STRIDES.items():
        logits = inside[stage].logits
        full = F.interpolate(logits, scale_factor=stride, mode="bilinear", align_corners=False)
        mean = [full.mean().item(), full.abs().mean().item()]
        np.testing.assert_allclose(mean, golden[2][f"full_logits_{stage}_mean"], **close)


def test_the_sum_head_adds_all_four_enlarged_maps(golden, inside):
    network, x, _ = golden
    with torch.inference_mode():
        summed = network.predict(x, "sum")
    size = x.shape[-2:]
    by_hand = sum(F.interpolate(inside[n].logits, size, mode="bilinear") for n in STRIDES)
    torch.testing.assert_close(summed, by_hand, **close)


def test_forward_and_forward_intermediates_give_equal_logits(golden, inside):
    network, x, _ = golden
    with torch.inference_mode():
        logits = network(x)
    assert [torch.equal(a, inside[n].logits) for n, a in zip(STRIDES, logits, strict=True)] == [
        True
    ] * 4


def test_stage_outputs_have_stage_and_stride_deepest_first(inside):
    assert [(n, each.stage, each.stride) for n, each in inside.items()] == [
        (n, n, stride) for n, stride in STRIDES.items()
    ]
    assert inside[4].gate is None


@pytest.mark.parametrize("name", CASES)
def test_the_parameter_count_is_the_recorded_one(golden_network, name):
    network = golden_network(name)
    assert sum(each.numel() for each in network.parameters()) == case(name)["parameters"]
