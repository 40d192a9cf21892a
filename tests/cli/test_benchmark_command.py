"""``napari-emcad benchmark``: times of this computer, and the options that follow from them."""

from __future__ import annotations

import itertools
import json

import pytest
import torch

from napari_emcad import bundled_checkpoint, cli
from napari_emcad.inference import devices
from napari_emcad.inference.timing import alternate
from napari_emcad.pipelines import benchmark as job
from napari_emcad.pipelines.benchmark_results import (
    Agreement,
    MeasuredDevice,
    Recommendation,
    Timing,
    recommend,
)

pytestmark = pytest.mark.usefixtures("tiny_bundled")

CPU = MeasuredDevice("cpu", "CPU", "float32", (1, 512))
GPU = MeasuredDevice("cuda", "CUDA", "bfloat16", (16, 512))


@pytest.fixture
def run(capsys):
    """Return a function: a command line's exit status, standard output and standard error."""

    def run(*arguments):
        status = cli.main([str(one) for one in arguments])
        messages = capsys.readouterr()
        return status, messages.out, messages.err

    return run


def timing(device, size, plain_s, **times_as_fast):
    return Timing(device, *size, plain_s, times_as_fast, dict.fromkeys(times_as_fast, 0.5))


def agreement(precision, *dice):
    return Agreement("cuda", precision, {str(n): value for n, value in enumerate(dice)})


def test_the_table_has_a_line_per_size_and_a_recommendation(run):
    status, out, err = run("benchmark", "--quick", "--device", "cpu")
    assert status == 0
    assert err == "benchmark: 1 of 1\n"
    lines = out.splitlines()
    assert lines[0] == bundled_checkpoint().title
    assert lines[1].endswith(f"threads of the CPU: {torch.get_num_threads()}")
    assert any(line.startswith("1 × 64²") for line in lines)
    assert lines[-1].startswith("Fastest: --device cpu --tile 64 --batch 1 (float32)")


def test_json_has_everything_that_was_measured(run):
    status, out, _ = run("benchmark", "--quick", "--json", "--device", "cpu")
    found = json.loads(out)
    assert status == 0
    assert found["threads"] == torch.get_num_threads()
    assert [one["name"] for one in found["devices"]] == ["cpu"]
    (timed,) = found["timings"]
    assert (timed["images"], timed["side"]) == (1, 64)
    assert timed["plain_s"] > 0
    assert timed["times_as_fast"]["float32"] > 0
    expected = {"device": "cpu", "precision": "float32", "tile": 64, "batch": 1}
    assert found["recommendation"] == expected


def test_a_half_precision_is_compared_with_float32(run, monkeypatch):
    for module in (devices, job):
        monkeypatch.setattr(module, "half_types", lambda device: (torch.bfloat16,))
    status, out, _ = run("benchmark", "--quick", "--json", "--device", "cpu")
    found = json.loads(out)
    assert status == 0
    (agreed,) = found["agreements"]
    assert agreed["precision"] == "bfloat16"
    assert 0.9 < agreed["dice"]["nuclei_dark"] <= 1
    assert set(found["timings"][0]["times_as_fast"]) == {"float32", "bfloat16"}
    assert found["recommendation"]["precision"] == "float32"  # segment has no bfloat16 on a CPU


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--checkpoint", "nowhere.pth"), "nowhere.pth"),
        pytest.param(
            ("--device", "cuda"),
            "cannot be used here",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="has CUDA"),
        ),
        (("--set", "zoom=-1"), "zoom"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_sentence(run, arguments, words):
    status, out, err = run("benchmark", "--quick", *arguments)
    assert (status, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("napari-emcad: ")
    assert line.endswith(".")
    assert words in line


def test_the_default_size_is_left_only_for_a_clear_gain():
    slow = timing("cpu", (1, 512), 1.0, float32=1.0)
    for plain_s, expected in ((0.21, 512), (0.15, 256)):
        quick = timing("cpu", (1, 256), plain_s, float32=1.0)
        assert recommend([CPU], [quick, slow], []).tile == expected


@pytest.mark.parametrize(
    ("faster", "dice", "expected"),
    [(2.0, 0.999, "bfloat16"), (2.0, 0.98, "float32"), (1.05, 0.999, "float32")],
)
def test_half_precision_has_to_be_faster_and_to_agree(faster, dice, expected):
    timings = [timing("cuda", (16, 512), 1.0, float32=1.0, bfloat16=faster, float16=9.0)]
    agreements = [agreement("bfloat16", 1.0, dice), agreement("float16", 1.0, 1.0)]
    found = recommend([GPU], timings, agreements)
    assert found == Recommendation("cuda", expected, 512, 16)


def test_the_fastest_device_is_recommended():
    on_gpu = timing("cuda", (16, 512), 1.0, float32=1.0)
    for plain_s, expected in ((0.1, "cuda"), (0.01, "cpu")):
        on_cpu = timing("cpu", (1, 512), plain_s, float32=1.0)
        assert recommend([GPU, CPU], [on_gpu, on_cpu], []).device == expected


def test_functions_are_timed_in_turns_by_the_clock_that_is_given():
    calls, ticks = [], itertools.count()
    ways = {name: lambda name=name: calls.append(name) for name in "ab"}
    rounds = list(alternate(ways, 2, clock=lambda: float(next(ticks))))
    assert calls == list("ababab")
    assert rounds == [{"a": 1.0, "b": 1.0}] * 2


def test_slow_functions_are_timed_three_times():
    ticks = itertools.count(step=100)
    rounds = alternate({"a": lambda: None}, 9, most_s=1, clock=lambda: float(next(ticks)))
    assert len(list(rounds)) == 3


def test_every_size_is_timed_in_every_round(tiny_checkpoint, monkeypatch):
    monkeypatch.setattr(job, "SIZES", ((1, 32), (2, 64)))
    monkeypatch.setattr(job, "_measured_device", lambda choice: CPU_SMALL)
    ticks = itertools.count()
    steps = job.benchmark_job(tiny_checkpoint, [None], clock=lambda: next(ticks) / 1000)
    events = []
    while True:
        try:
            events.append(next(steps))
        except StopIteration as end:
            result = end.value
            break
    assert [(one.images, one.side) for one in result.timings] == [(1, 32), (2, 64)]
    assert [event.done for event in events] == list(range(1, 15))
    assert {one.times_as_fast["float32"] for one in result.timings} == {1.0}


CPU_SMALL = MeasuredDevice("cpu", "CPU", "float32", (1, 32))
