"""Nothing that other code shares is changed: random numbers, threads, types, flags of torch."""

from __future__ import annotations

import random
import threading
import warnings

import numpy as np
import pytest
import torch

import napari_emcad
from napari_emcad.model.own_random import OwnRandom
from napari_emcad.training.allocator import retain_freed_memory

RNG = np.random.default_rng(0)
IMAGES = [RNG.integers(0, 255, (64, 64, 3)).astype(np.uint8) for _ in range(2)]
LABELS = [(image[..., 0] > 120).astype(np.uint8) for image in IMAGES]
SCRIBBLES = [np.where(truth, 1, 255) for truth in LABELS]
SMALL = {"epochs": 1, "crops_per_epoch": 4, "batch": 2, "crop": 64, "drop_path": 0.4}


@pytest.fixture(scope="module")
def start(tiny_encoder):
    return napari_emcad.initialize_checkpoint(encoder=tiny_encoder)


def train(start, seed=0):
    return napari_emcad.train(IMAGES, LABELS, start, "YXC", seed=seed, **SMALL).checkpoint.tensors


CALLS = {
    "create_model": lambda start: napari_emcad.create_model("pvt_v2_b0", seed=3),
    "segment": lambda start: napari_emcad.segment(IMAGES[0], start, "YXC"),
    "stage_maps": lambda start: napari_emcad.stage_maps(
        IMAGES[0], start, ["decoder:1", "flip_disagreement"], "YXC"
    )[0],
    "train": train,
    "fine_tune": lambda start: napari_emcad.fine_tune(IMAGES, SCRIBBLES, start, "YXC", **SMALL),
    "evaluate": lambda start: napari_emcad.evaluate(IMAGES, LABELS, start, "YXC"),
}


def global_state():
    numpy_state = np.random.get_state()  # noqa: NPY002
    return {
        "torch": torch.get_rng_state().tolist(),
        "numpy": (numpy_state[1].tolist(), *numpy_state[2:]),
        "random": random.getstate(),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "type": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "gradients": torch.is_grad_enabled(),
        "deterministic": (
            torch.are_deterministic_algorithms_enabled(),
            torch.backends.cudnn.benchmark,
            torch.backends.cudnn.deterministic,
            torch.get_float32_matmul_precision(),
        ),
        "numpy errors": np.geterr(),
        "warnings": list(warnings.filters),
    }


@pytest.mark.parametrize("name", CALLS)
def test_the_global_state_is_left_alone(name, start, monkeypatch):
    seeded = []
    monkeypatch.setattr(torch, "manual_seed", seeded.append)
    monkeypatch.setattr(np.random, "seed", seeded.append)
    before = global_state()
    CALLS[name](start)
    assert global_state() == before
    assert not seeded


def test_results_do_not_depend_on_the_global_state(start):
    torch.manual_seed(1)
    one = train(start)
    torch.manual_seed(2)
    other = train(start)
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_two_trainings_at_once_are_those_one_after_the_other(start):
    alone = [train(start, seed) for seed in (0, 1)]
    at_once: list = [None, None]

    def run(seed):
        at_once[seed] = train(start, seed)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for expected, found in zip(alone, at_once, strict=True):
        assert all(np.array_equal(expected[name], found[name]) for name in expected)
    assert any(not np.array_equal(alone[0][name], alone[1][name]) for name in alone[0])


def draw_everything():
    weights = torch.empty(40, 30)
    layer = torch.nn.Conv2d(3, 8, 3)
    torch.nn.init.trunc_normal_(weights, std=0.02)
    return [
        torch.rand(3), torch.randn(2, 2), torch.randint(9, (4,)), torch.randperm(7),
        torch.empty(5).uniform_(1, 2), torch.empty(20).normal_(), torch.empty(9).bernoulli_(0.3),
        weights, layer.weight.detach(), torch.bernoulli(torch.full((6,), 0.5)),
        torch.nn.init.kaiming_normal_(torch.empty(8, 8)),
    ]  # fmt: skip


def test_an_own_generator_gives_the_numbers_of_the_seeded_global_one():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        expected = draw_everything()
    before = torch.get_rng_state()
    with OwnRandom(7):
        found = draw_everything()
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))
    assert torch.equal(torch.get_rng_state(), before)
    with OwnRandom(7), pytest.raises(RuntimeError, match="global generator"):
        torch.rand_like(torch.zeros(3))


def test_memory_is_kept_until_the_last_training_ends(monkeypatch):
    from napari_emcad.training import allocator

    sizes = []

    class Library:
        def mallopt(self, _, size):
            sizes.append(size)

        def malloc_trim(self, _):
            sizes.append("trim")

    monkeypatch.setattr(allocator, "_glibc", lambda: Library())
    with retain_freed_memory():
        with retain_freed_memory():
            pass
        assert "trim" not in sizes
    assert sizes[-1] == "trim"
