"""A stopped run has ended on all workers before it returns, and writes nothing into the next."""

from __future__ import annotations

from itertools import count
from threading import Event, Timer

import numpy as np
import pytest

from napari_emcad import InferenceSettings
from napari_emcad.cluster.events import FilesProgress
from napari_emcad.cluster.layout import Layout
from napari_emcad.cluster.request import FilesRequest, ImageFile
from napari_emcad.cluster.running_tasks import wait_until_idle
from napari_emcad.cluster.segment_files import segment_files_job
from napari_emcad.inference import part as part_module
from napari_emcad.io.segment_run import SegmentRun, run_folder


@pytest.fixture
def job(tmp_path, scheduler, discs, tiny_checkpoint):
    path, output = tmp_path / "stack.npy", tmp_path / "labels.npy"
    np.save(path, discs(12, 64, 64))
    request = FilesRequest(
        tiny_checkpoint, InferenceSettings("cpu", 64), axes="ZYX", layout=Layout(1)
    )
    folder = run_folder(output, is_folder=False)
    return segment_files_job(
        [ImageFile(path, output)], request, folder, None, scheduler, lambda files: None
    )


def test_stopping_waits_for_parts_that_are_being_computed(job, monkeypatch):
    begun, go_on, ended, numbers = Event(), Event(), [], count()
    compute = part_module.segment_part

    def blocked(*args, **kwargs):
        if next(numbers):  # all but the first
            begun.set()
            go_on.wait(60)
        planes = compute(*args, **kwargs)
        ended.append(planes)
        return planes

    monkeypatch.setattr(part_module, "segment_part", blocked)
    next(event for event in job if isinstance(event, FilesProgress) and event.parts == 1)
    assert begun.wait(60)
    Timer(2, go_on.set).start()
    job.close()
    assert go_on.is_set(), "closing has waited"
    assert len(ended) == next(numbers), "all that has begun has ended"
    assert len(ended) <= 3, "parts that had not begun are not computed"


class NoAnswer:
    """A client whose scheduler has ended."""

    def run(self, *args, **kwargs):
        raise OSError("connection lost")


class Busy:
    """A client of a worker that never ends its task."""

    def run(self, *args, **kwargs):
        return {"tcp://worker": 1}


@pytest.mark.parametrize("client", [NoAnswer(), Busy()])
def test_waiting_ends_where_nothing_can_be_waited_for(client):
    wait_until_idle(client, "run", longest=0.01)


def test_parts_of_a_changed_image_or_of_other_settings_have_another_folder(tmp_path):
    run, output, folders = SegmentRun(tmp_path / "run"), tmp_path / "a.tif", []
    with run.lock():
        for settings, identity in (({"tile": 64}, 1), ({"tile": 64}, 2), ({"tile": 96}, 2)):
            run.start(settings, overwrite=True)
            run.begin_image(output, {"identity": identity}, overwrite=True)
            folders.append(run.image_folder(output))
            assert run.image_folder(output) == folders[-1]
    assert len(set(folders)) == 3
    assert [folder.exists() for folder in folders] == [False, False, True]


def test_a_second_start_of_the_same_run_has_the_folder_of_the_first(tmp_path):
    output, folders = tmp_path / "a.tif", []
    for _ in range(2):
        run = SegmentRun(tmp_path / "run")
        with run.lock():
            run.start({"tile": 64}, overwrite=False)
            run.begin_image(output, {"identity": 1}, overwrite=False)
            folders.append(run.image_folder(output))
    assert folders[0] == folders[1]
