from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from napari_emcad.model.padding import pad_to_multiple

STRIDES = (32, 16, 8, 4)
sides = st.integers(1, 70)
few = settings(max_examples=12, deadline=None)


def image(channels, height, width):
    generator = torch.Generator().manual_seed(height * 100 + width)
    return torch.rand(1, channels, height, width, generator=generator)


def reflected(x):
    """Return x padded to multiples of 32 by numpy."""
    missing = [(0, 0), (0, 0), *((0, -side % 32) for side in x.shape[2:])]
    return torch.from_numpy(np.pad(x.numpy(), missing, mode="reflect"))


@few
@given(sides, sides)
@example(1, 1)
@example(1, 70)
@example(33, 2)
def test_any_size_gives_the_maps_of_the_image_padded_by_numpy(golden_network, height, width):
    network, x = golden_network("b0_rgb"), image(3, height, width)
    with torch.inference_mode():
        full, logits = network.predict(x), network(x)
        padded_full, padded_logits = network.predict(reflected(x)), network(reflected(x))
        inside = network.forward_intermediates(x)
    assert full.shape == (1, 1, height, width)
    assert torch.equal(full, padded_full[..., :height, :width])
    for s, own, padded, stage in zip(STRIDES, logits, padded_logits, inside.values(), strict=True):
        rows, columns = -(-height // s), -(-width // s)
        assert own.shape == (1, 1, rows, columns)
        assert own.isfinite().all()
        assert torch.equal(own, padded[..., :rows, :columns])
        assert torch.equal(own, stage.logits)
        assert stage.decoder.shape[2:] == stage.encoder.shape[2:] == (rows, columns)
        assert stage.spatial_attention.shape == (1, 1, rows, columns)
        assert stage.gate is None or stage.gate.shape == (1, 1, rows, columns)
    assert full.isfinite().all()


@settings(deadline=None)
@given(sides, sides, st.sampled_from((1, 3)))
def test_padding_is_numpys_reflection(height, width, channels):
    x = image(channels, height, width)
    assert torch.equal(pad_to_multiple(x), reflected(x))


@pytest.mark.parametrize("size", [(32, 32), (64, 32), (96, 128)])
def test_a_multiple_of_32_is_not_padded(size):
    x = image(3, *size)
    assert pad_to_multiple(x) is x


def test_a_gray_network_takes_any_size_too(golden_network):
    with torch.inference_mode():
        logits = golden_network("b0_gray").predict(image(1, 45, 1))
    assert logits.shape == (1, 9, 45, 1)
    assert logits.isfinite().all()


@pytest.mark.parametrize("method", ["forward", "predict", "forward_intermediates"])
@pytest.mark.parametrize(
    "shape", [(3, 64, 64), (1, 2, 64, 64), (1, 4, 64, 64), (1, 3, 0, 64), (0, 3, 64, 64), (64, 64)]
)
def test_a_wrong_shape_is_refused_with_the_expected_one(golden_network, method, shape):
    with pytest.raises(ValueError, match=r"\(N, 1 or 3, H, W\)") as raised:
        getattr(golden_network("b0_rgb"), method)(torch.zeros(shape))
    assert str(shape) in str(raised.value)
