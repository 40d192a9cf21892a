"""Workers may be killed and runs may be stopped: the files are the same, byte for byte."""

from __future__ import annotations

import json
import logging
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_emcad import CleanUp, InferenceSettings, segment
from napari_emcad.cluster.events import FilesProgress, ImageDone
from napari_emcad.cluster.layout import Layout
from napari_emcad.cluster.request import FilesRequest, ImageFile
from napari_emcad.cluster.segment_files import segment_files, segment_files_job
from napari_emcad.io.segment_run import SegmentRun, SegmentRunError, run_folder


@pytest.fixture
def stack(tmp_path, discs):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, discs(12, 100, 90), metadata={"axes": "ZYX"})
    return path


@pytest.fixture
def request_of(tiny_checkpoint):
    def make(**changes):
        settings = {"clean_up": CleanUp(separate=True)} | changes.pop("settings", {})
        options = {"layout": Layout(1)} | changes
        return FilesRequest(tiny_checkpoint, InferenceSettings("cpu", 64, **settings), **options)

    return make


def job(path, output, request, scheduler):
    folder = run_folder(output, is_folder=False)
    files = [ImageFile(path, output)]
    return segment_files_job(files, request, folder, None, scheduler, lambda files: None)


def parts(events):
    return max(event.parts for event in events if isinstance(event, FilesProgress))


@pytest.mark.slow("src", ":!src/napari_emcad/plugin")
def test_killed_workers_leave_the_same_file(tmp_path, stack, request_of, monkeypatch):
    import dask
    from distributed import LocalCluster

    preload = str(Path(__file__).with_name("tiny_preload.py"))
    whole, output = tmp_path / "whole.tif", tmp_path / "labels.tif"
    with (
        dask.config.set({"distributed.worker.preload": [preload]}),
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            memory_limit=0,
            silence_logs=logging.CRITICAL,
        ) as cluster,
    ):
        address = cluster.scheduler_address
        list(job(stack, whole, request_of(), address))
        killed = [nanny.pid for nanny in cluster.workers.values()]
        left = list(killed)
        events = []
        for event in job(stack, output, request_of(), address):
            events.append(event)
            if isinstance(event, FilesProgress) and event.parts in (1, 4) and left:
                os.kill(left.pop(), signal.SIGKILL)
        assert not left
        assert not set(killed) & {nanny.pid for nanny in cluster.workers.values()}
    assert any(isinstance(event, ImageDone) for event in events)
    assert output.read_bytes() == whole.read_bytes()


@pytest.mark.slow("src", ":!src/napari_emcad/plugin")
@pytest.mark.parametrize("layout", [Layout(1), Layout(1, 50)], ids=str)
@pytest.mark.parametrize("extension", ["tif", "zarr"])
def test_a_second_start_computes_what_is_missing(
    tmp_path, scheduler, stack, request_of, layout, extension
):
    request = request_of(layout=layout, settings={"clean_up": CleanUp()})
    whole, output = tmp_path / f"whole.{extension}", tmp_path / f"labels.{extension}"
    total = parts(list(job(stack, whole, request, scheduler)))
    events = job(stack, output, request, scheduler)
    done = next(e.parts for e in events if isinstance(e, FilesProgress) and e.parts == 5)
    with pytest.raises(KeyboardInterrupt):
        events.throw(KeyboardInterrupt)
    assert not output.exists()
    assert parts(list(job(stack, output, request, scheduler))) == total - done
    if extension == "tif":
        assert output.read_bytes() == whole.read_bytes()
    files = [path for path in tmp_path.rglob("*") if path.name.startswith(".")]
    assert files == []


def test_finished_images_are_not_computed_again(tmp_path, scheduler, tiny_checkpoint, discs):
    files = {}
    for n in range(4):
        np.save(tmp_path / f"{n}.npy", discs(64, 64, seed=n))
        files[tmp_path / f"{n}.npy"] = tmp_path / "out" / f"{n}.npy"

    def interrupt(event):
        if isinstance(event, ImageDone):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segment_files(files, tiny_checkpoint, scheduler=scheduler, tile=64, on_event=interrupt)
    first = [path for path in files.values() if path.exists()]
    assert len(first) == 1
    time = first[0].stat().st_mtime_ns
    events = []
    again = segment_files(
        files, tiny_checkpoint, scheduler=scheduler, tile=64, on_event=events.append
    )
    assert sorted(again.outputs) == sorted(files.values())
    assert first[0].stat().st_mtime_ns == time
    assert parts(events) <= 3
    for path, output in files.items():
        expected = segment(np.load(path), tiny_checkpoint, tile=64).labels
        np.testing.assert_array_equal(np.load(output), expected)


def stop_early(events):
    next(e for e in events if isinstance(e, FilesProgress) and e.parts == 2)
    events.close()


def test_other_settings_are_refused_unless_overwritten(tmp_path, scheduler, stack, request_of):
    output = tmp_path / "labels.tif"
    stop_early(job(stack, output, request_of(), scheduler))
    other = request_of(settings={"threshold": 0.4})
    with pytest.raises(SegmentRunError, match=r"other settings \(threshold\).*--overwrite"):
        list(job(stack, output, other, scheduler))
    other = request_of(settings={"threshold": 0.4}, overwrite=True)
    assert parts(list(job(stack, output, other, scheduler))) == 12
    expected = segment(
        tifffile.imread(stack), other.model, "ZYX", settings=other.settings, device="cpu"
    )
    np.testing.assert_array_equal(tifffile.imread(output), expected.labels)


def test_another_checkpoint_is_refused(tmp_path, scheduler, stack, request_of, tiny_checkpoint):
    from dataclasses import replace

    output = tmp_path / "labels.tif"
    stop_early(job(stack, output, request_of(), scheduler))
    other = replace(request_of(), model=tiny_checkpoint.override(head="sum"))
    with pytest.raises(SegmentRunError, match=r"other settings \(checkpoint\)"):
        list(job(stack, output, other, scheduler))


def test_a_changed_image_is_refused(tmp_path, scheduler, stack, request_of, discs):
    output = tmp_path / "labels.tif"
    stop_early(job(stack, output, request_of(), scheduler))
    tifffile.imwrite(stack, discs(12, 100, 90, seed=5), metadata={"axes": "ZYX"})
    (failed,) = [e for e in job(stack, output, request_of(), scheduler) if hasattr(e, "text")]
    assert "has changed since the run began" in failed.text
    assert "--overwrite" in failed.text
    events = list(job(stack, output, request_of(overwrite=True), scheduler))
    assert parts(events) == 12


def test_two_runs_do_not_write_to_one_output(tmp_path, scheduler, stack, request_of):
    output = tmp_path / "labels.tif"
    with (
        SegmentRun(run_folder(output, is_folder=False)).lock(),
        pytest.raises(SegmentRunError, match="Another run is writing"),
    ):
        list(job(stack, output, request_of(), scheduler))


def test_a_manifest_that_was_cut_off_is_read_up_to_there(tmp_path):
    run, output = SegmentRun(tmp_path / "run"), tmp_path / "a.tif"
    with run.lock():
        run.start({"tile": 64}, overwrite=False)
        run.begin_image(output, {"identity": 1}, overwrite=False)
        run.finish_part(output, "0-1")
        run.finish_part(output, "1-2")
    manifest = run.folder / "manifest.jsonl"
    manifest.write_bytes(manifest.read_bytes()[:-9])
    again = SegmentRun(tmp_path / "run")
    with again.lock():
        again.start({"tile": 64}, overwrite=False)
        assert again.finished_parts(output) == {"0-1"}
        again.finish_part(output, "1-2")
    assert all(json.loads(line) for line in manifest.read_text().splitlines())
