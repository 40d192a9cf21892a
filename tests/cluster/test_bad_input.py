"""What a cluster cannot do is refused in a sentence that says what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from napari_emcad import InferenceSettings, write_checkpoint
from napari_emcad.cluster import worker
from napari_emcad.cluster.checked_image import CheckedImage
from napari_emcad.cluster.connect import ClusterError, check_workers, connect
from napari_emcad.cluster.events import ImageDone, ImageFailed
from napari_emcad.cluster.image_run import ImageRun
from napari_emcad.cluster.layout import Layout
from napari_emcad.cluster.request import FilesRequest, ImageFile
from napari_emcad.cluster.segment_files import (
    segment_files,
    segment_files_job,
    write_model,
)
from napari_emcad.cluster.tasks import Failure, ModelFile, version_problem
from napari_emcad.imaging.parts import Part
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.segment_run import SegmentRun, SegmentRunError, run_folder


@pytest.fixture
def make_task(tmp_path, tiny_checkpoint, discs):
    """Return a function that returns the task of an image, as workers get it."""

    def make(path=None, pixels=None, **changes):
        path = path or tmp_path / "image.npy"
        np.save(path, discs(2, 80, 90) if pixels is None else pixels)
        request = FilesRequest(
            tiny_checkpoint, InferenceSettings("cpu", 64), axes="ZYX", layout=Layout(1)
        )
        run = SegmentRun(tmp_path / "run")
        run.folder.mkdir(exist_ok=True)
        model_file = write_model(tiny_checkpoint, run.folder)
        image = ImageRun(ImageFile(path, tmp_path / "labels.tif"), request, model_file, run, 2)
        return replace(image.task, **changes)

    return make


def events_of(path, output, request, scheduler):
    folder = run_folder(output, is_folder=False)
    files = [ImageFile(path, output)]
    return list(segment_files_job(files, request, folder, None, scheduler, lambda files: None))


def test_a_scheduler_that_does_not_answer_is_named():
    with (
        pytest.raises(ClusterError, match=r"No dask scheduler answers at tcp://127.0.0.1:9 .*chec"),
        connect(None, "tcp://127.0.0.1:9", timeout=0.2),
    ):
        pass


@pytest.mark.parametrize("address", ["nonsense", "http://127.0.0.1:1", "127.0.0.1"])
def test_an_address_that_is_none_is_named(address):
    with (
        pytest.raises(ClusterError, match="is no address of a dask scheduler"),
        connect(None, address, timeout=0.2),
    ):
        pass


@pytest.mark.parametrize("workers", [0, -2])
def test_no_workers_are_refused(workers):
    with pytest.raises(ClusterError, match="must be 1 or more"), connect(workers, None):
        pass


def test_the_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(ClusterError, match=r'python -m pip install "napari-emcad\[cluster\]"'),
        connect(2, None),
    ):
        pass


@contextmanager
def foreign_worker(address, folder):
    """Run a worker in a process whose packages are looked up in a folder first."""
    environment = os.environ | {"PYTHONPATH": str(folder)}
    command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-nanny"]
    process = subprocess.Popen(
        [*command, "--no-dashboard", "--nthreads", "1"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def empty_scheduler():
    """Return the address of a scheduler without workers."""
    from distributed import LocalCluster

    options = {"protocol": "tcp", "dashboard_address": "127.0.0.1:0", "processes": False}
    with LocalCluster(n_workers=0, **options) as cluster:
        yield cluster.scheduler_address


HIDDEN = """
import sys
from importlib import metadata
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "napari_emcad":
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Hide())
found = metadata.Distribution.from_name
def from_name(name):
    if name == "napari-emcad":
        raise metadata.PackageNotFoundError(name)
    return found(name)
metadata.Distribution.from_name = from_name
"""


@pytest.mark.slow("src", ":!src/napari_emcad/plugin")
@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"torch-1.0.dist-info/METADATA": "Name: torch\nVersion: 1.0\n"}, "has torch 1.0, this"),
        ({"sitecustomize.py": HIDDEN}, "cannot use the package napari-emcad: run python -m pip"),
    ],
    ids=["another version", "no package"],
)
def test_a_worker_with_other_packages_is_refused(tmp_path, empty_scheduler, files, message):
    from distributed import Client

    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    with foreign_worker(empty_scheduler, tmp_path), Client(empty_scheduler) as client:
        client.wait_for_workers(1, timeout=60)
        with pytest.raises(ClusterError, match=message):
            check_workers(client)


def test_versions_that_fit_are_no_problem():
    assert version_problem({"torch": "2.0"}, {"torch": "2.0"}, "w") == ""


def test_a_worker_of_another_version_that_comes_later_is_refused(make_task):
    task = make_task(versions={"napari-emcad": "0.0.1"})
    failure = worker.compute_part(task, Part(0, 1))
    assert "this computer has 0.0.1" in failure.text


def test_another_checkpoint_file_is_refused_with_both_hashes(make_task, tiny_checkpoint):
    task = make_task()
    write_checkpoint(tiny_checkpoint.override(title="other"), task.model.path)
    failure = worker.compute_part(task, Part(0, 1))
    assert isinstance(failure, Failure)
    assert task.model.sha256 in failure.text
    assert worker.file_sha256(task.model.path) in failure.text


@pytest.mark.parametrize("gone", ["image", "model"])
def test_a_worker_without_the_file_names_it(make_task, tmp_path, gone):
    task, missing = make_task(), tmp_path / "elsewhere" / "file"
    changes = {"path": missing} if gone == "image" else {"model": ModelFile(missing, "0")}
    failure = worker.compute_part(replace(task, **changes), Part(0, 1))
    assert f"does not find {missing}" in failure.text
    assert "same paths" in failure.text


def test_another_image_than_promised_is_refused(make_task, discs):
    task = make_task()
    np.save(task.path, discs(2, 80, 91))
    failure = worker.compute_part(replace(task, identity="new"), Part(0, 1))
    assert "(2, 80, 91)" in failure.text
    assert "(2, 80, 90)" in failure.text


def test_a_part_of_another_shape_is_named(make_task, monkeypatch):
    class Wrong:
        shape, dtype, ndim = (2, 80, 90), np.dtype(np.uint8), 3

        def __getitem__(self, where):
            return np.zeros((80, 90 - where[0]), np.uint8)

    task = make_task()
    monkeypatch.setattr(worker, "_opened", lambda *args: CheckedImage(Wrong(), "image.npy"))
    failure = worker.compute_part(task, Part(1, 2))
    assert "= 1 has shape (80, 89)" in failure.text


def test_a_damaged_chunk_is_named(tmp_path, scheduler, tiny_checkpoint, discs):
    zarr = pytest.importorskip("zarr")
    path = tmp_path / "image.zarr"
    array = zarr.create_array(path, shape=(3, 80, 90), chunks=(1, 40, 90), dtype="u1")
    array[:] = discs(3, 80, 90)
    (path / "c" / "1" / "1" / "0").write_bytes(b"damaged")
    request = FilesRequest(
        tiny_checkpoint, InferenceSettings("cpu", 64), axes="ZYX", layout=Layout(1)
    )
    events = events_of(path, tmp_path / "labels.tif", request, scheduler)
    (failed,) = [event for event in events if isinstance(event, ImageFailed)]
    assert f"{path} is damaged in the chunk 1/1/0" in failed.text
    assert not any(isinstance(event, ImageDone) for event in events)


def test_a_part_that_cannot_be_read_is_named_without_chunks():
    class Broken:
        shape, dtype = (4, 4), np.dtype(np.uint8)

        def __getitem__(self, where):
            raise RuntimeError("decoder")

    with pytest.raises(ImageFileError, match=r"x.tif is damaged in the part \[0:2, 1\] \(decoder"):
        CheckedImage(Broken(), "x.tif")[slice(0, 2), 1]


def test_a_full_disk_fails_the_image_and_not_the_run(
    tmp_path, scheduler, tiny_checkpoint, discs, monkeypatch
):
    from napari_emcad.io import segment_run

    def full(file, array):
        raise OSError(28, "No space left on device")

    np.save(tmp_path / "a.npy", discs(64, 64))
    monkeypatch.setattr(segment_run.np, "save", full)
    done = segment_files(
        {tmp_path / "a.npy": tmp_path / "b.tif"}, tiny_checkpoint, scheduler=scheduler, tile=64
    )
    assert "No space left on device" in done.failed["a.npy"]
    monkeypatch.undo()
    again = segment_files(
        {tmp_path / "a.npy": tmp_path / "b.tif"}, tiny_checkpoint, scheduler=scheduler, tile=64
    )
    assert again.outputs == (tmp_path / "b.tif",)


def test_an_output_in_a_file_is_refused(tmp_path, scheduler, tiny_checkpoint, discs):
    np.save(tmp_path / "a.npy", discs(64, 64))
    output = tmp_path / "a.npy" / "b.tif"
    with pytest.raises(SegmentRunError, match=r"a\.npy cannot be written to"):
        segment_files({tmp_path / "a.npy": output}, tiny_checkpoint, scheduler=scheduler)


def test_an_existing_output_is_refused(tmp_path, scheduler, tiny_checkpoint, discs):
    np.save(tmp_path / "a.npy", discs(64, 64))
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((4, 4), np.uint8))
    files = {tmp_path / "a.npy": tmp_path / "b.tif"}
    with pytest.raises(FileExistsError, match="overwrite=True"):
        segment_files(files, tiny_checkpoint, scheduler=scheduler)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npy", "b.tif"]
    done = segment_files(files, tiny_checkpoint, scheduler=scheduler, overwrite=True, tile=64)
    assert done.outputs == (tmp_path / "b.tif",)


def test_many_parts_of_a_bad_image_leave_the_others(tmp_path, scheduler, tiny_checkpoint, discs):
    zarr = pytest.importorskip("zarr")
    path = tmp_path / "image.zarr"
    array = zarr.create_array(path, shape=(30, 40, 40), chunks=(1, 40, 40), dtype="u1")
    array[:] = discs(30, 40, 40)
    for n in range(2, 30):
        (path / "c" / str(n) / "0" / "0").write_bytes(b"damaged")
    np.save(tmp_path / "a.npy", discs(6, 40, 40))
    request = FilesRequest(
        tiny_checkpoint, InferenceSettings("cpu", 64, batch=1), axes="ZYX", layout=Layout(1)
    )
    files = [ImageFile(path, tmp_path / "x.tif"), ImageFile(tmp_path / "a.npy", tmp_path / "y.tif")]
    folder = run_folder(tmp_path, is_folder=True)
    events = list(segment_files_job(files, request, folder, None, scheduler, lambda files: None))
    assert [event.name for event in events if isinstance(event, ImageFailed)] == ["image.zarr"]
    assert [event.name for event in events if isinstance(event, ImageDone)] == ["a.npy"]


def test_one_bad_image_leaves_the_others(tmp_path, scheduler, tiny_checkpoint, discs):
    np.save(tmp_path / "a.npy", discs(64, 64))
    (tmp_path / "bad.png").write_bytes(b"no picture")
    files = {tmp_path / name: tmp_path / f"{name}_labels.tif" for name in ("bad.png", "a.npy")}
    done = segment_files(files, tiny_checkpoint, scheduler=scheduler, tile=64)
    assert [output.name for output in done.outputs] == ["a.npy_labels.tif"]
    assert "damaged" in done.failed["bad.png"]
