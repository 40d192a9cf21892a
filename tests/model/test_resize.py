"""Zoomed prediction: the network gets an enlarged image, its logits have the image's size."""

from __future__ import annotations

import pytest
import torch
from golden.fill import golden_input
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from napari_emcad import initialize_checkpoint
from napari_emcad.model.resize import resize, zoomed_size


@pytest.fixture(scope="module")
def network():
    return initialize_checkpoint(seed=3).network()


@torch.inference_mode()
def test_a_zoom_of_one_changes_nothing(network):
    x = golden_input(3)
    assert torch.equal(network.predict(x), network.predict(x, "finest", 1.0))


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"head": "foo"}, "head is 'foo'; it must be finest or sum"),
        ({"zoom": 0}, "zoom is 0; it must be above 0"),
        ({"zoom": -1}, "zoom is -1; it must be above 0"),
        ({"zoom": float("nan")}, "zoom is nan; it must be above 0"),
        ({"zoom": float("inf")}, "zoom is inf; it must be above 0 and finite"),
    ],
    ids=str,
)
def test_invalid_head_and_zoom_are_refused(network, wanted, message):
    with pytest.raises(ValueError, match=message):
        network.predict(golden_input(3), **wanted)


@torch.inference_mode()
@pytest.mark.parametrize("head", ["finest", "sum"])
def test_the_network_sees_the_image_enlarged(network, head):
    x = golden_input(3)[..., :40, :56]
    large = F.interpolate(x, (80, 112), mode="bilinear", align_corners=False)
    expected = F.interpolate(network.predict(large, head), (40, 56), mode="area")
    found = network.predict(x, head, 2.0)
    assert found.shape == expected.shape
    assert (found - expected).abs().mean() < 0.1 * expected.std()


@torch.inference_mode()
@settings(max_examples=12, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.floats(0.125, 2.5))
def test_any_size_and_zoom_give_a_map_of_the_images_size(network, height, width, zoom):
    found = network.predict(torch.rand(1, 3, height, width), "sum", zoom)
    assert found.shape == (1, 1, height, width)
    assert found.isfinite().all()


@given(st.integers(1, 5000), st.integers(1, 5000), st.floats(0.125, 8))
def test_zoomed_sizes_are_rounded_and_at_least_1(height, width, zoom):
    for size, seen in zip((height, width), zoomed_size((height, width), zoom), strict=True):
        assert seen >= 1
        assert abs(seen - size * zoom) <= max(0.5, 1 - size * zoom)


def test_shrinking_averages_instead_of_picking():
    stripes = torch.arange(64).remainder(2).float().expand(1, 1, 64, 64)
    assert (resize(stripes, (16, 16)) - 0.5).abs().max() < 0.1


@pytest.mark.parametrize("width", [1, 2, 9])
@pytest.mark.parametrize("heights", [(2, 3), (9, 4), (5, 1)])
def test_a_single_column_is_resized_along_its_rows(width, heights):
    maps = torch.randn(2, 3, heights[0], width)
    wide = resize(maps.mean(-1, keepdim=True).repeat(1, 1, 1, 4), (heights[1], 4))
    if width < 3:  # of more pixels the outer ones count less
        torch.testing.assert_close(resize(maps, (heights[1], 1)), wide[..., :1])
    turned = resize(maps.transpose(-1, -2).contiguous(), (1, heights[1]))
    torch.testing.assert_close(resize(maps, (heights[1], 1)), turned.transpose(-1, -2))
