"""An image outside of the model's range is named in Python, in the terminal and in the jobs."""

from __future__ import annotations

import threading
import warnings

import numpy as np
import pytest
import tifffile

from napari_emcad import (
    IntensityRangeWarning,
    Notice,
    bundled_checkpoint,
    evaluate,
    fine_tune,
    segment,
    stage_maps,
    train,
)
from napari_emcad.cli import main
from napari_emcad.imaging import slices as slices_module
from napari_emcad.inference.events import InferenceSettings
from napari_emcad.io.checkpoints.files import write_checkpoint
from napari_emcad.pipelines.segment import segment_job, slices_for

pytestmark = pytest.mark.usefixtures("tiny_bundled")

Y, X = np.mgrid[:64, :64]
BYTES = (20 + 180 * ((Y % 32 - 16) ** 2 + (X % 32 - 16) ** 2 < 80)).astype(np.uint8)
FLOATS = (BYTES / 255).astype(np.float32)
LABELS = (BYTES > 100).astype(np.uint8)
SMALL = {"epochs": 1, "crops_per_epoch": 1, "batch": 1, "crop": 32, "seed": 0}


@pytest.fixture(scope="module")
def model():
    return bundled_checkpoint().override(intensity="range", low=0, high=255)


def calls(image, model):
    scribbles = np.where(BYTES > 100, 1, 255)
    return {
        "segment": lambda: segment(image, model, "YX"),
        "stage_maps": lambda: stage_maps(image, model, ["probability:1"], "YX")[0],
        "evaluate": lambda: evaluate([image], [LABELS], model, "YX"),
        "train": lambda: train([image] * 2, [LABELS] * 2, model, "YX", **SMALL),
        "fine_tune": lambda: fine_tune([image], [scribbles], model, "YX", **SMALL),
    }


@pytest.mark.parametrize("name", ["segment", "stage_maps", "evaluate", "train", "fine_tune"])
def test_python_warns_where_the_package_was_called(name, model):
    with pytest.warns(IntensityRangeWarning, match=r"0.07843 … 0.7843.*0 … 255") as caught:
        calls(FLOATS, model)[name]()
    assert {one.filename for one in caught} == {__file__}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        calls(BYTES, model)[name]()


def test_the_warning_can_be_switched_off(model, recwarn):
    warnings.simplefilter("ignore", IntensityRangeWarning)
    segment(FLOATS, model, "YX")
    assert not recwarn.list


def test_a_job_yields_a_notice_and_its_summary_keeps_it(model):
    slices = slices_for(FLOATS, model, "YX")
    job, events = segment_job(slices, model, InferenceSettings(), threading.Event()), []
    summary = yield_all(job, events)
    notices = [event.text for event in events if isinstance(event, Notice)]
    assert notices == list(summary.notices)
    assert len(notices) == 1


def test_stage_maps_of_a_stack_say_it_once(model):
    notices = []
    stack = np.stack([FLOATS] * 3)
    maps = stage_maps(stack, model, ["entropy"], "ZYX", on_event=notices.append)
    with pytest.warns(IntensityRangeWarning) as caught:
        list(maps)
    assert len(caught) == 1
    assert sum(isinstance(event, Notice) for event in notices) == 1


def test_a_large_slice_is_checked_while_it_is_read(model, monkeypatch):
    monkeypatch.setattr(slices_module, "_SAMPLE", 1_000)
    for run in (segment, lambda *given: stage_maps(given[0], given[1], ["entropy"], "YX")[0]):
        with pytest.warns(IntensityRangeWarning):
            run(FLOATS, model, "YX")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            run(FLOATS * 255, model, "YX")


def yield_all(job, events):
    while True:
        try:
            events.append(next(job))
        except StopIteration as end:
            return end.value


@pytest.fixture
def folder(tmp_path, model):
    for name, array in (("images", FLOATS), ("labels", LABELS)):
        (tmp_path / name).mkdir()
        for stem in "ab":
            tifffile.imwrite(tmp_path / name / f"{stem}.tif", array)
    write_checkpoint(model, tmp_path / "model.safetensors")
    return tmp_path


@pytest.mark.parametrize("command", ["segment", "stages", "evaluate", "train"])
def test_the_terminal_gets_a_line_with_the_name_of_the_image(command, folder, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert main(arguments(command, folder)) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "model expects" in line]
    assert lines
    assert all("napari-emcad: " in line and ".tif: The image has values" in line for line in lines)


def arguments(command, folder):
    image, model = str(folder / "images" / "a.tif"), str(folder / "model.safetensors")
    images, labels = str(folder / "images"), str(folder / "labels")
    return {
        "segment": ["segment", image, "--checkpoint", model, "--output", str(folder / "out.tif")],
        "stages": ["stages", image, "--checkpoint", model, "--maps", "entropy", "--output",
                   str(folder / "stages")],
        "evaluate": ["evaluate", "--images", images, "--labels", labels, "--checkpoint", model],
        "train": ["train", str(folder), "--start", model, "--output", str(folder / "run"), "--set",
                  "epochs=1", "--set", "crops_per_epoch=1", "--set", "batch=1", "--set", "crop=32"],
    }[command]  # fmt: skip
