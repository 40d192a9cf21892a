from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from napari_emcad import InferenceSettings, segment
from napari_emcad.pipelines.segment import segment_job, slices_for

IMAGE = np.zeros((3, 40, 50), np.float32)


@pytest.fixture
def modes(instead):
    """Return the torch modes that were on when the network was called."""
    seen = []

    def looking(real, network, x, head):
        seen.append(
            {
                "inference": torch.is_inference_mode_enabled(),
                "autocast": torch.is_autocast_enabled(x.device.type),
                "training": any(each.training for each in network.modules()),
                "thread": threading.current_thread().name,
                "dtype": x.dtype,
                "x": x,
            }
        )
        return x[:, :1].clone()

    instead(looking)
    return seen


@pytest.mark.parametrize("name", ["main", "worker"])
def test_the_network_runs_in_inference_mode_in_the_thread_of_its_job(as_it_is, modes, name):
    def job():
        with torch.enable_grad():
            segment(IMAGE, as_it_is, "ZYX", batch=1)

    thread = threading.Thread(target=job, name=name)
    thread.start()
    thread.join()
    assert [each["inference"] for each in modes] == [True] * 3
    assert [each["training"] for each in modes] == [False] * 3
    assert {each["thread"] for each in modes} == {name}


def test_the_consumer_of_the_events_keeps_its_torch_mode(as_it_is, modes):
    slices = slices_for(IMAGE, as_it_is, "ZYX")
    job = segment_job(slices, as_it_is, InferenceSettings(batch=1), threading.Event())
    with torch.enable_grad():
        for _ in job:
            assert torch.is_grad_enabled()
            assert not torch.is_inference_mode_enabled()


def test_the_cpu_computes_in_single_precision(as_it_is, modes):
    segment(IMAGE, as_it_is, "ZYX")
    assert {each["autocast"] for each in modes} == {False}
    assert {each["dtype"] for each in modes} == {torch.float32}


def test_the_network_gets_a_copy_of_the_pixels(as_it_is, instead):
    def spoiling(real, network, x, head):
        logits_copy = x[:, :1].clone()
        x.fill_(-1)
        return logits_copy

    instead(spoiling)
    image = np.random.default_rng(0).standard_normal((70, 90)).astype(np.float32)
    before = image.copy()
    found = segment(image, as_it_is, tile=32)
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(found.labels, before > 0)


def test_weights_of_the_checkpoint_survive_its_job(checkpoint, instead):
    filled = checkpoint()
    before = {name: tensor.copy() for name, tensor in filled.tensors.items()}

    def wiping(real, network, x, head):
        for each in network.parameters():
            each.zero_()
        return x[:, :1].clone()

    instead(wiping)
    segment(IMAGE, filled, "ZYX")
    for name, tensor in filled.tensors.items():
        np.testing.assert_array_equal(tensor, before[name])


def test_the_network_predicts_with_the_zoom_of_the_checkpoint(as_it_is, monkeypatch):
    calls = []

    def predict(network, x, head="finest", zoom=1.0):
        calls.append((tuple(x.shape[-2:]), zoom))
        return x[:, :1].clone()

    monkeypatch.setattr("napari_emcad.model.network.PvtEmcad.predict", predict)
    image = np.where(np.arange(64) < 20, 1.0, -1.0) * np.ones((64, 1))
    result = segment(image, as_it_is.override(zoom=2), tile=64, overlap=0.0, batch=1)
    assert calls == [((32, 32), 2.0)] * 4
    assert np.array_equal(result.labels, image > 0)


def test_memory_that_runs_out_halves_the_tiles_of_an_enlarged_slice(as_it_is, monkeypatch):
    seen = []

    def predict(network, x, head="finest", zoom=1.0):
        seen.append(x.shape[-1])
        if x.shape[-1] > 60:
            raise MemoryError
        return x[:, :1].clone()

    monkeypatch.setattr("napari_emcad.model.network.PvtEmcad.predict", predict)
    segment(np.zeros((200, 200)), as_it_is.override(zoom=2), batch=1, tile=400)
    assert list(dict.fromkeys(seen)) == [200, 100, 50]
