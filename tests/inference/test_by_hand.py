from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from napari_emcad import segment
from napari_emcad.imaging.intensity import IMAGENET_MEAN, IMAGENET_STD

close = {"rtol": 0, "atol": 1e-5}


def prepared(image):
    """Return an RGB uint8 image as published networks want it, (1, 3, H, W)."""
    x = (image / 255 - IMAGENET_MEAN) / IMAGENET_STD
    return torch.from_numpy(x.transpose(2, 0, 1)[None].astype(np.float32))


def network_logits(checkpoint, x, head="finest"):
    with torch.inference_mode():
        return checkpoint.network().predict(x, head)[0]


@pytest.mark.parametrize("head", ["finest", "sum"])
def test_one_tile_is_the_networks_own_output(checkpoint, picture, head):
    binary = checkpoint().override(head=head)
    found = segment(picture, binary, probabilities=True)
    expected = torch.sigmoid(network_logits(binary, prepared(picture), head)).numpy()
    assert (found.labels.dtype, found.labels.shape) == (np.uint8, (90, 75))
    assert (found.probabilities.dtype, found.probabilities.shape) == (np.float32, (1, 90, 75))
    np.testing.assert_allclose(found.probabilities, expected, **close)
    np.testing.assert_array_equal(found.labels, found.probabilities[0] > 0.5)
    assert 0 < found.labels.mean() < 1


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5, 0.9])
def test_labels_are_where_the_probability_is_above_the_threshold(checkpoint, picture, threshold):
    found = segment(picture, checkpoint(), probabilities=True, threshold=threshold)
    near = np.isclose(found.probabilities[0], threshold, atol=1e-6)
    above = found.probabilities[0] > threshold
    assert (found.labels == above)[~near].all()
    assert near.mean() < 0.01


def test_several_classes_have_softmax_probabilities_and_the_largest_wins(checkpoint, picture):
    network = checkpoint(num_classes=5)
    found = segment(picture, network, probabilities=True)
    expected = torch.softmax(network_logits(network, prepared(picture)), 0).numpy()
    np.testing.assert_allclose(found.probabilities, expected, **close)
    np.testing.assert_array_equal(found.labels, found.probabilities.argmax(0))
    assert found.labels.dtype == np.uint8
    assert len(np.unique(found.labels)) > 1


@pytest.mark.parametrize(
    ("classes", "dtype"), [(2, np.uint8), (256, np.uint8), (257, np.uint16), (300, np.uint16)]
)
def test_labels_are_wide_enough_for_the_last_class(checkpoint, classes, dtype):
    filled = checkpoint(num_classes=classes)
    bias = np.zeros(classes, np.float32)
    bias[-1] = 1e6
    biased = replace(filled, tensors={**filled.tensors, "heads.stage1.bias": bias})
    labels = segment(np.zeros((40, 33), np.uint8), biased).labels
    assert labels.dtype == dtype
    assert (labels == classes - 1).all()


def test_a_gray_network_takes_a_gray_image(checkpoint):
    gray = checkpoint(input_channels=1).override(size=None, low=-125, high=275)
    image = np.random.default_rng(0).integers(-1000, 1000, (70, 50)).astype(np.int16)
    found = segment(image, gray, probabilities=True)
    x = torch.from_numpy(np.clip((image + 125.0) / 400, 0, 1).astype(np.float32))[None, None]
    expected = torch.sigmoid(network_logits(gray, x)).numpy()
    np.testing.assert_allclose(found.probabilities, expected, **close)


@pytest.mark.parametrize("size", [(64, 64), (128, 96)])
@pytest.mark.parametrize("classes", [1, 3])
def test_slices_are_resized_bilinearly_to_a_fixed_size_and_back(checkpoint, picture, size, classes):
    resizing = checkpoint(num_classes=classes).override(size=size)
    found = segment(picture, resizing, probabilities=True)
    small = F.interpolate(prepared(picture), size, mode="bilinear", antialias=True)
    full = F.interpolate(
        network_logits(resizing, small)[None], (90, 75), mode="bilinear", align_corners=False
    )[0]
    expected = torch.sigmoid(full) if classes == 1 else torch.softmax(full, 0)
    np.testing.assert_allclose(found.probabilities, expected.numpy(), **close)


@pytest.mark.parametrize("size", [None, (64, 64)])
@pytest.mark.parametrize("tile", [512, 48])
def test_stretching_scales_the_probabilities_of_a_slice_to_0_and_1(checkpoint, picture, size, tile):
    network = checkpoint().override(size=size)
    stack = np.stack([picture, picture[::-1], picture // 3])
    how = {"axes": "ZYXC", "probabilities": True, "tile": tile}
    plain = segment(stack, network, **how).probabilities
    found = segment(stack, network, **how, stretch=True)
    low, high = plain.min((2, 3), keepdims=True), plain.max((2, 3), keepdims=True)
    np.testing.assert_allclose(found.probabilities, (plain - low) / (high - low), **close)
    np.testing.assert_array_equal(found.labels, found.probabilities[0] > 0.5)
    assert (found.labels.reshape(3, -1).max(1) == 1).all()


def test_stretching_is_for_binary_networks_alone(checkpoint, picture):
    network = checkpoint(num_classes=3)
    plain = segment(picture, network, probabilities=True)
    found = segment(picture, network, probabilities=True, stretch=True)
    np.testing.assert_array_equal(found.probabilities, plain.probabilities)


@pytest.mark.parametrize("batch", [1, 2, 5, None])
def test_the_batch_changes_nothing(checkpoint, picture, batch):
    stack = np.stack([picture[k : k + 40, :40] for k in range(0, 50, 10)])
    one_by_one = [segment(each, checkpoint(), probabilities=True).probabilities for each in stack]
    found = segment(stack, checkpoint(), "ZYXC", probabilities=True, batch=batch)
    np.testing.assert_allclose(found.probabilities, np.stack(one_by_one, axis=1), **close)


@pytest.mark.parametrize("over", ["slice", "stack"])
def test_percentiles_are_of_a_slice_or_of_the_stack(as_it_is, logits, over):
    how = as_it_is.override(intensity="percentile", low=0, high=100, over=over)
    stack = np.arange(3 * 40 * 50, dtype=np.float32).reshape(3, 40, 50) - 500
    found = segment(stack, how, "ZYX", probabilities=True).probabilities[0]
    low = stack.min((1, 2), keepdims=True) if over == "slice" else stack.min()
    high = stack.max((1, 2), keepdims=True) if over == "slice" else stack.max()
    scaled = np.log(found / (1 - found))
    np.testing.assert_allclose(scaled, (stack - low) / (high - low), atol=2e-3)


@pytest.mark.parametrize("count", [2, 64, 100])
@pytest.mark.parametrize("direction", ["rows", "columns"])
def test_percentiles_of_a_stack_are_of_all_parts_of_a_slice(as_it_is, logits, count, direction):
    how = as_it_is.override(intensity="percentile", low=1, high=99, over="stack")
    ramp = np.mgrid[:64, :64][0 if direction == "rows" else 1].astype(np.uint8)
    found = segment(np.stack([ramp] * count), how, "ZYX", probabilities=True).probabilities[0]
    scaled = np.log(found[0] / (1 - found[0]))
    low, high = np.percentile(ramp, (1, 99))
    np.testing.assert_allclose(scaled, np.clip((ramp - low) / (high - low), 0, 1), atol=0.05)
