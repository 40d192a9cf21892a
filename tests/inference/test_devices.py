from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_emcad import segment
from napari_emcad.inference.devices import (
    DEVICES,
    choose_device,
    device_choices,
    half_precision,
    is_out_of_memory,
)
from napari_emcad.model.precision import CPU_BFLOAT16


@pytest.fixture
def machine(monkeypatch):
    """Return a function that makes torch report these devices."""

    def machine(cuda=False, mps=False, built=True):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "NVIDIA Test")
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.setattr(torch.version, "cuda", "12.8" if built else None)

    return machine


@pytest.mark.parametrize(
    ("cuda", "mps", "best"),
    [
        (True, False, "cuda"),
        (True, True, "cuda"),
        (False, True, "mps"),
        (False, False, "cpu"),
    ],
)
def test_auto_is_the_best_there_is(machine, cuda, mps, best):
    machine(cuda, mps)
    assert choose_device().type == choose_device("auto").type == best
    assert choose_device("cpu").type == "cpu"


@pytest.mark.parametrize(
    ("name", "built", "reason"),
    [
        ("cuda", True, "no NVIDIA GPU or driver was found"),
        ("cuda", False, "built without CUDA"),
        ("mps", True, "not a Mac with Apple silicon"),
    ],
)
def test_a_missing_device_is_refused_with_the_reason(machine, name, built, reason):
    machine(built=built)
    with pytest.raises(ValueError, match=f"cannot be used here: .*{reason}"):
        choose_device(name)


@pytest.mark.parametrize("name", ["gpu", "", "CPU", "cuda:1"])
def test_an_unknown_device_is_refused_with_those_that_are_known(name):
    with pytest.raises(ValueError, match="auto, cuda, mps, cpu") as raised:
        choose_device(name)
    assert repr(name) in str(raised.value)


def test_every_device_has_a_title_and_the_cpu_is_always_there(machine):
    machine()
    choices = device_choices()
    assert tuple(each.name for each in choices) == DEVICES[1:]
    assert all(each.title for each in choices)
    assert [bool(each.reason) for each in choices] == [True, True, False]
    machine(cuda=True, mps=True)
    assert not any(each.reason for each in device_choices())
    assert "NVIDIA Test" in device_choices()[0].title


def test_a_job_refuses_a_missing_device_before_it_reads(machine, as_it_is, logits):
    machine()
    with pytest.raises(ValueError, match="cannot be used here"):
        segment(np.zeros((40, 50)), as_it_is, device="cuda")
    assert logits == []


def test_a_summary_names_the_device(as_it_is, logits):
    assert segment(np.zeros((40, 50)), as_it_is, device="cpu").summary.device.startswith("CPU")


def test_half_precision_is_chosen_where_there_are_instructions_for_it(monkeypatch):
    assert half_precision(torch.device("cpu")) is None
    assert half_precision(torch.device("mps")) is torch.float16
    for supported, dtype in ((True, torch.bfloat16), (False, torch.float16)):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda s=supported: s)
        assert half_precision(torch.device("cuda")) is dtype
    monkeypatch.setenv(CPU_BFLOAT16, "1")
    assert half_precision(torch.device("cpu")) is torch.bfloat16
    monkeypatch.setenv(CPU_BFLOAT16, "")
    for fast in (True, False):
        for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
            monkeypatch.setattr(torch.cpu, name, lambda fast=fast: fast, raising=False)
        assert half_precision(torch.device("cpu")) is (torch.bfloat16 if fast else None)


@pytest.mark.parametrize(
    ("error", "short"),
    [
        (torch.OutOfMemoryError("anything"), True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("size mismatch"), False),
        (ValueError("out of memory"), False),
        (KeyboardInterrupt(), False),
    ],
    ids=repr,
)
def test_only_memory_errors_are_out_of_memory(error, short):
    assert is_out_of_memory(error) is short


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_gives_the_result_of_the_cpu(checkpoint, picture):
    how = {"probabilities": True, "full_precision": True}
    on_cpu = segment(picture, checkpoint(), device="cpu", **how).probabilities
    on_cuda = segment(picture, checkpoint(), device="cuda", **how).probabilities
    np.testing.assert_allclose(on_cuda, on_cpu, atol=1e-3)
