"""Jobs on every kind of processor: the results are those of the CPU, and memory is returned.

`scripts/gpu_check` runs these tests where there is a GPU; on others they run on the CPU alone.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

import napari_emcad as ne
from napari_emcad.inference.network_pool import NETWORK_POOL

HAS_CUDA, HAS_MPS = torch.cuda.is_available(), torch.backends.mps.is_available()


def _needs(there, name):
    return pytest.mark.skipif(not there, reason=f"no {name}")


DEVICES = [
    "cpu",
    pytest.param("cuda", marks=[pytest.mark.gpu, _needs(HAS_CUDA, "CUDA")]),
    pytest.param("mps", marks=[pytest.mark.gpu, _needs(HAS_MPS, "MPS")]),
]


@pytest.fixture(params=DEVICES)
def device(request):
    only = os.environ.get("NAPARI_EMCAD_TEST_DEVICE")
    if only and request.param != only:
        pytest.skip(f"only {only} is tested")
    yield request.param
    NETWORK_POOL.clear()


@pytest.fixture(scope="module")
def image():
    """Return a dark image with bright discs, (160, 192) uint8."""
    y, x = np.mgrid[:160, :192]
    pixels = np.random.default_rng(0).integers(0, 30, (160, 192)).astype(np.uint8)
    for cy, cx, r in ((30, 40, 14), (80, 120, 18), (130, 50, 12), (40, 160, 10)):
        pixels[(y - cy) ** 2 + (x - cx) ** 2 < r**2] += 150
    return pixels


@pytest.fixture(scope="module")
def strokes(image):
    """Return strokes on discs and on the background."""
    painted = np.zeros(image.shape, np.uint8)
    for row, columns in ((30, (34, 46)), (80, (110, 130)), (130, (45, 55)), (42, (155, 165))):
        painted[row - 1 : row + 2, slice(*columns)] = 1
    for row, columns in ((10, (80, 120)), (60, (20, 60)), (150, (90, 150)), (100, (10, 30))):
        painted[row - 1 : row + 2, slice(*columns)] = 255
    return painted


def dice(one, other):
    both = ((one > 0) & (other > 0)).sum()
    return 2 * both / max((one > 0).sum() + (other > 0).sum(), 1)


@pytest.mark.parametrize("options", [{}, {"tile": 64, "batch": 3}], ids=["whole", "tiles"])
@pytest.mark.parametrize("changes", [{}, {"size": 96, "zoom": 1.0}], ids=["native", "resized"])
def test_labels_are_those_of_the_cpu(device, image, tiny_checkpoint, options, changes):
    model = tiny_checkpoint.override(**changes)
    expected = ne.segment(image, model, device="cpu", full_precision=True, **options).labels
    assert expected.any()
    full = ne.segment(image, model, device=device, full_precision=True, **options).labels
    assert dice(full, expected) > 0.999
    half = ne.segment(image, model, device=device, **options).labels
    assert dice(half, expected) > 0.99


def test_stage_maps_are_those_of_the_cpu(device, image, tiny_checkpoint):
    maps = ("probability", "gate", "decoder", "entropy")
    one, other = (
        ne.stage_maps(image, tiny_checkpoint, maps=maps, device=where) for where in (device, "cpu")
    )
    assert one.names == other.names
    for name in one.names:
        if "decoder" not in name:  # the signs of principal components are free
            values, expected = one[0][name].values, other[0][name].values
            np.testing.assert_allclose(values, expected, atol=0.05, rtol=0.05)


def test_a_training_learns_and_its_model_is_on_the_cpu(device, image, tiny_checkpoint):
    truth = (image > 100).astype(np.uint8)
    settings = {"epochs": 2, "crops_per_epoch": 4, "batch": 2, "crop": 64}
    result = ne.train([image], [truth], tiny_checkpoint, device=device, **settings)
    assert all(np.isfinite(epoch.loss) for epoch in result.course.epochs)
    assert all(isinstance(tensor, np.ndarray) for tensor in result.checkpoint.tensors.values())


def test_strokes_are_learned(device, image, strokes, tiny_checkpoint):
    settings = {"crops_per_epoch": 4, "batch": 2, "crop": 64, "epochs": 1}
    result = ne.fine_tune([image], [strokes], tiny_checkpoint, device=device, **settings)
    assert ne.segment(image, result.checkpoint, device=device).labels.shape == image.shape


def test_an_instant_model_segments(device, image, strokes):
    model = ne.fit_instant([image], [strokes], device=device)
    labels = ne.segment(image, model, device=device).labels
    assert dice(labels, image > 100) > 0.8


@pytest.mark.gpu
@pytest.mark.skipif(not HAS_CUDA, reason="no CUDA")
def test_memory_is_returned_after_several_jobs(image, tiny_checkpoint):
    def job():
        ne.segment(image, tiny_checkpoint, device="cuda", tile=64)
        ne.stage_maps(image, tiny_checkpoint, maps=("gate",), device="cuda")
        NETWORK_POOL.clear()
        torch.cuda.empty_cache()
        return torch.cuda.memory_allocated()

    first = job()
    assert [job() for _ in range(3)] == [first] * 3


@pytest.mark.gpu
@pytest.mark.skipif(not HAS_CUDA, reason="no CUDA")
def test_a_small_limit_halves_the_batch_until_it_fits(tiny_checkpoint):
    large = np.random.default_rng(0).integers(0, 255, (2048, 2048), np.uint8)
    expected = ne.segment(large, tiny_checkpoint, device="cuda", batch=1).labels
    NETWORK_POOL.clear()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(2**30 / total, 1.0))
    try:
        result = ne.segment(large, tiny_checkpoint, device="cuda", batch=256)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert any("memory" in notice for notice in result.summary.notices)
    assert dice(result.labels, expected) > 0.999
