from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from napari_emcad import CleanUp, Notice, Progress, segment, stage_maps
from napari_emcad.inference.segment import OutOfMemory

STACK = np.random.default_rng(0).standard_normal((5, 100, 256)).astype(np.float32)
SHORT = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB)"),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:116] . DefaultCPUAllocator: can't allocate memory"
    ),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 99 bytes."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0."),
    RuntimeError("could not create a primitive"),
    MemoryError(),
]


@pytest.fixture
def limited(instead):
    """Return a function that limits memory to some pixels; it returns the sizes that were tried."""

    def limited(pixels, answer=None, error=SHORT[0]):
        tried = []

        def predict(real, network, x, head):
            n, _, height, width = x.shape
            tried.append((n, height, width))
            if n * height * width > pixels:
                raise error
            return x[:, :1].clone() if answer is None else real(network, x, head)

        instead(predict)
        return tried

    return limited


def test_the_batch_is_halved_until_it_fits_and_the_result_is_the_same(as_it_is, limited):
    tried = limited(pixels=2 * 100 * 256)
    events = []
    found = segment(STACK, as_it_is, "ZYX", batch=8, on_event=events.append)
    np.testing.assert_array_equal(found.labels, STACK > 0)
    assert [n for n, _, _ in tried] == [5, 4, 2, 2, 1]
    notices = [event.text for event in events if isinstance(event, Notice)]
    assert len(notices) == 2
    assert "Memory ran out on cpu; went on with 2 tiles of 256 pixels" in notices[-1]
    assert found.summary.notices == tuple(notices)
    assert found.summary.ending == "finished"


@pytest.mark.parametrize("error", SHORT, ids=lambda e: f"{type(e).__name__} {e}"[:40])
def test_every_way_to_run_out_of_memory_is_known(as_it_is, limited, error):
    limited(pixels=100 * 256, error=error)
    found = segment(STACK, as_it_is, "ZYX", batch=2)
    np.testing.assert_array_equal(found.labels, STACK > 0)
    assert len(found.summary.notices) == 1


def test_then_the_tile_is_halved(as_it_is, limited):
    tried = limited(pixels=64 * 64)
    found = segment(STACK, as_it_is, "ZYX", batch=2)
    np.testing.assert_array_equal(found.labels, STACK > 0)
    assert tried[:4] == [(2, 100, 256), (1, 100, 256), (1, 100, 128), (1, 64, 64)]
    assert set(tried[3:]) == {(1, 64, 64)}
    assert "one tile of 64 pixels" in found.summary.notices[-1]


def test_smaller_batches_give_the_same_result(checkpoint, limited, picture):
    stack = np.stack([picture[:60, :60], picture[-60:, -60:]])
    how = {"axes": "ZYXC", "probabilities": True}
    undisturbed = segment(stack, checkpoint(), batch=1, **how).probabilities
    limited(pixels=60 * 60, answer="real")
    found = segment(stack, checkpoint(), batch=2, **how)
    assert len(found.summary.notices) == 1
    np.testing.assert_allclose(found.probabilities, undisturbed, rtol=0, atol=1e-5)


def test_smaller_tiles_give_the_result_of_such_tiles(checkpoint, limited, picture):
    large = np.pad(picture, ((0, 40), (0, 85), (0, 0)), mode="wrap")
    undisturbed = segment(large, checkpoint(), tile=80, batch=1, probabilities=True).probabilities
    limited(pixels=80 * 80, answer="real")
    found = segment(large, checkpoint(), tile=160, batch=1, probabilities=True)
    assert len(found.summary.notices) == 1
    np.testing.assert_allclose(found.probabilities, undisturbed, rtol=0, atol=1e-5)


def test_finished_slices_are_not_repeated_and_the_batch_size_is_kept(as_it_is, instead):
    calls, room = [], [8]

    def shrinking(real, network, x, head):
        calls.append(len(x))
        if len(calls) == 2:
            room[0] = 1
        if len(x) > room[0]:
            raise SHORT[0]
        return x[:, :1].clone()

    instead(shrinking)
    events = []
    found = segment(STACK, as_it_is, "ZYX", batch=2, on_event=events.append)
    np.testing.assert_array_equal(found.labels, STACK > 0)
    assert calls == [2, 2, 1, 1, 1]
    assert [event.done for event in events if isinstance(event, Progress)] == [0, 2, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "options",
    [{"stretch": True}, {"clean_up": CleanUp(separate=True)}, {"clean_up": CleanUp(3, 9)}],
    ids=["stretch", "objects", "clean"],
)
def test_running_out_of_memory_within_a_slice_does_not_change_its_result(
    as_it_is, instead, options
):
    calls = []

    def failing_once(real, network, x, head):
        calls.append(len(x))
        if len(calls) == 5:
            raise SHORT[0]
        return x[:, :1].clone()

    instead(lambda real, network, x, head: x[:, :1].clone())
    how = {"axes": "ZYX", "tile": 64, "probabilities": True, **options}
    blobs = np.sin(np.arange(100) / 9)[:, None] * np.sin(np.arange(256) / 9) + STACK[:3] / 9
    undisturbed = segment(blobs, as_it_is, batch=1, **how)
    instead(failing_once)
    found = segment(blobs, as_it_is, batch=7, **how)
    assert len(found.summary.notices) == 1
    np.testing.assert_array_equal(found.labels, undisturbed.labels)
    np.testing.assert_allclose(found.probabilities, undisturbed.probabilities, atol=1e-6)
    assert found.summary.object_classes == undisturbed.summary.object_classes


def test_short_memory_for_the_smallest_tile_is_reported(as_it_is, limited):
    tried = limited(pixels=0)
    with pytest.raises(OutOfMemory, match=r"cpu is short even for one tile of 64 pixels.*device"):
        segment(STACK, as_it_is, "ZYX", batch=2)
    assert tried[-1] == (1, 64, 64)


def test_short_memory_for_one_resized_slice_is_reported(as_it_is, limited):
    tried = limited(pixels=0)
    with pytest.raises(OutOfMemory, match=r"one slice of \(96, 64\) pixels.*smaller size"):
        segment(STACK, as_it_is.override(size=(96, 64)), "ZYX", batch=4)
    assert tried == [(4, 96, 64), (2, 96, 64), (1, 96, 64)]


@pytest.mark.parametrize("step", ["antialias", "align_corners"])
def test_short_memory_before_or_after_the_network_is_reported(as_it_is, logits, monkeypatch, step):
    real = F.interpolate

    def short(*given, **named):
        if step in named:
            raise SHORT[2]
        return real(*given, **named)

    monkeypatch.setattr(F, "interpolate", short)
    with pytest.raises(OutOfMemory, match=r"one slice of \(96, 64\) pixels.*smaller size"):
        segment(STACK, as_it_is.override(size=(96, 64)), "ZYX", batch=2)


@pytest.mark.parametrize(
    ("size", "message"),
    [((96, 64), r"one slice of \(96, 64\) pixels"), (None, "one tile of 64 pixels")],
    ids=str,
)
def test_short_memory_while_a_tile_is_resampled_is_reported(as_it_is, monkeypatch, size, message):
    def short(*given):
        raise SHORT[2]

    monkeypatch.setattr("napari_emcad.inference.stage_maps.grid.resample", short)
    with pytest.raises(OutOfMemory, match=message):
        stage_maps(STACK, as_it_is.override(size=size), "gate:2", "ZYX")[0]


@pytest.mark.parametrize("look", [segment, lambda image, ck: stage_maps(image, ck, "gate:2")[0]])
def test_short_memory_for_the_network_itself_is_reported(as_it_is, monkeypatch, look):
    def short(tensor):
        raise SHORT[2]

    monkeypatch.setattr(torch, "from_numpy", short)
    with pytest.raises(OutOfMemory, match=r"Memory ran out\. Close other programs"):
        look(STACK[0], as_it_is)


def test_a_job_after_one_that_failed_succeeds(as_it_is, limited):
    limited(pixels=0)
    with pytest.raises(OutOfMemory):
        segment(STACK, as_it_is, "ZYX", batch=1, tile=64)
    limited(pixels=10**9)
    np.testing.assert_array_equal(segment(STACK, as_it_is, "ZYX").labels, STACK > 0)


@pytest.mark.parametrize(
    "error", [RuntimeError("shape mismatch"), ValueError("out of memory"), KeyError("x")], ids=repr
)
def test_other_errors_are_raised_unchanged(as_it_is, instead, error):
    def failing(real, network, x, head):
        raise error

    instead(failing)
    with pytest.raises(type(error)) as raised:
        segment(STACK, as_it_is, "ZYX")
    assert raised.value is error


def test_the_memory_of_a_failed_attempt_is_freed_before_the_next(as_it_is, instead):
    allocated, alive = [], []

    def hoarding(real, network, x, head):
        alive.append(sum(each() is not None for each in allocated))
        large = torch.zeros(1000)
        allocated.append(weakref.ref(large))
        if len(x) > 1:
            error = torch.OutOfMemoryError()
            raise error  # a circle: its traceback holds this frame, which holds it
        return x[:, :1].clone()

    gc.disable()
    try:
        instead(hoarding)
        segment(STACK, as_it_is, "ZYX", batch=4)
    finally:
        gc.enable()
    assert len(alive) > 3
    assert set(alive) == {0}
