"""Networks are built once per model, and are gone with it."""

from __future__ import annotations

import gc
import os
import threading
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_emcad import Checkpoint, InferenceSettings, PvtEmcad, segment, stage_maps
from napari_emcad.inference.network_pool import NETWORK_POOL
from napari_emcad.inference.segment import OutOfMemory
from napari_emcad.pipelines.segment import segment_job, slices_for


@pytest.fixture
def model(checkpoint):
    """Return a checkpoint of which no network was built."""
    return replace(checkpoint())


@pytest.fixture
def built(monkeypatch):
    """Return weak references to the networks that are built from now on."""
    networks, real = [], Checkpoint.network

    def network(checkpoint, *given):
        new = real(checkpoint, *given)
        networks.append(weakref.ref(new))
        return new

    monkeypatch.setattr(Checkpoint, "network", network)
    return networks


@pytest.fixture
def used(instead):
    """Return weak references to the networks that predict from now on."""
    networks = []

    def predict(real, network, x, head):
        networks.append(weakref.ref(network))
        return real(network, x, head)

    instead(predict)
    return networks


def alive(references):
    gc.collect()
    return {id(network()) for network in references if network() is not None}


def probabilities(picture, model, **options):
    return segment(picture, model, probabilities=True, **options).probabilities


def test_the_second_call_builds_no_network_and_has_the_same_result(model, picture, built):
    first, again = probabilities(picture, model), probabilities(picture, model)
    assert len(built) == 1
    np.testing.assert_array_equal(again, first)
    NETWORK_POOL.clear()
    np.testing.assert_array_equal(probabilities(picture, model), first)
    assert len(built) == 2


def test_stage_maps_of_all_slices_share_a_network(model, picture, built):
    maps = [stage_maps(np.stack([picture] * 2), model, "gate:1", "ZYXC") for _ in range(2)]
    values = [maps[n][z]["gate:1"].values for n in range(2) for z in range(2)]
    assert len(built) == 1
    for other in values[1:]:
        np.testing.assert_array_equal(other, values[0])


def test_a_network_is_gone_with_its_checkpoint(checkpoint, picture, used):
    model = replace(checkpoint())
    segment(picture, model)
    assert len(alive(used)) == 1
    del model
    assert not alive(used)


def test_networks_of_few_models_are_kept(checkpoint, picture, used):
    models = [replace(checkpoint()) for _ in range(5)]
    for model in models:
        segment(picture, model)
    assert len(alive(used)) == 2


def test_changed_weights_give_their_own_labels(model, picture):
    tensors = {
        name: -tensor if "head" in name else tensor for name, tensor in model.tensors.items()
    }
    tuned = replace(model, tensors=tensors)
    before, after = probabilities(picture, model), probabilities(picture, tuned)
    np.testing.assert_allclose(after, 1 - before, atol=1e-6)
    np.testing.assert_array_equal(probabilities(picture, model), before)


def test_a_network_for_training_is_never_that_of_a_job(model, picture, used):
    before = probabilities(picture, model)
    private = model.network()
    with torch.no_grad():
        for parameter in private.parameters():
            parameter.zero_()
    assert private not in [network() for network in used]
    np.testing.assert_array_equal(probabilities(picture, model), before)


def test_jobs_at_the_same_time_have_a_network_each(model, picture, used):
    expected = probabilities(picture, model)
    used.clear()
    slices = slices_for(np.stack([picture] * 2), model, "ZYXC")
    settings = InferenceSettings(batch=1, device="cpu")
    jobs = [segment_job(slices, model, settings, threading.Event()) for _ in range(2)]
    for events in zip(*jobs, strict=True):
        assert type(events[0]) is type(events[1])
    assert len(alive(used)) == 1  # the other one went at the end of its job
    assert len({id(network) for network in used}) == 2
    np.testing.assert_array_equal(probabilities(picture, model), expected)


def test_two_threads_have_the_results_of_one(model, picture):
    pictures = [picture, picture[::-1].copy()]
    expected = [probabilities(one, model) for one in pictures]
    results = {}

    def work(number):
        results[number] = [probabilities(pictures[number], model, device="cpu") for _ in range(3)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(2):
        for found in results[number]:
            np.testing.assert_array_equal(found, expected[number])


def test_a_stopped_or_abandoned_job_returns_its_network(model, picture, built):
    slices = slices_for(np.stack([picture] * 3), model, "ZYXC")
    job = segment_job(slices, model, InferenceSettings(batch=1), threading.Event())
    for _ in range(4):
        next(job)
    job.close()
    stop = threading.Event()
    segment(slices.image, model, "ZYXC", batch=1, stop=stop, on_event=lambda _: stop.set())
    probabilities(picture, model)
    assert len(built) == 1


def test_a_failed_job_leaves_no_network(model, picture, instead, built):
    def failing(real, network, x, head):
        raise RuntimeError("shape mismatch")

    instead(failing)
    with pytest.raises(RuntimeError, match="shape"):
        segment(picture, model)
    assert not alive(built)


@pytest.mark.parametrize(
    "compute", [segment, lambda image, model: stage_maps(image, model, "gate:1")[0]]
)
def test_idle_networks_give_way_when_memory_runs_out(
    checkpoint, picture, instead, used, monkeypatch, compute
):
    idle, model = replace(checkpoint()), replace(checkpoint())
    segment(picture, idle)
    earlier = list(used)

    def failing(*given):
        raise torch.OutOfMemoryError("out of memory")

    assert len(alive(earlier)) == 1
    instead(failing)
    monkeypatch.setattr(PvtEmcad, "forward_intermediates", failing)
    with pytest.raises(OutOfMemory):
        compute(picture, model)
    assert not alive(earlier)


def test_a_model_that_cannot_be_weakly_referenced_is_not_kept(model, picture, built):
    class Slotted:
        __slots__ = ("classes", "config", "head", "network", "origin", "preprocessing", "title")

    other = Slotted()
    for name in Slotted.__slots__:
        setattr(other, name, getattr(model, name))
    expected = probabilities(picture, model)
    for _ in range(2):
        np.testing.assert_array_equal(probabilities(picture, other), expected)
    assert len(built) == 3


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_memory_of_a_gpu_is_returned_after_a_job(model, picture):
    probabilities(picture, model, device="cuda")
    before = torch.cuda.memory_allocated()
    probabilities(picture, model, device="cuda")
    assert torch.cuda.memory_allocated() == before
    assert all(p.device.type == "cpu" for p in model.network().parameters())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_does_not_wait_for_a_lock_of_its_parent():
    ready, done = threading.Event(), threading.Event()

    def keep_locked():
        with NETWORK_POOL._lock:
            ready.set()
            done.wait(60)

    thread = threading.Thread(target=keep_locked)
    thread.start()
    ready.wait(60)
    child = os.fork()
    if child == 0:
        os._exit(0 if NETWORK_POOL._lock.acquire(blocking=False) else 1)
    done.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0


def test_a_network_that_was_built_in_inference_mode_is_used_outside_of_it(model, picture, built):
    with torch.inference_mode():
        expected = probabilities(picture, model)
        stage_maps(picture, model, "gate:1")[0]
    np.testing.assert_array_equal(probabilities(picture, model), expected)
    stage_maps(picture, model, "gate:1")[0]
    assert len(built) == 2
