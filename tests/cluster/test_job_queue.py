"""Workers that a job queue starts; the local stand-in of dask-jobqueue takes the place of SLURM."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from napari_emcad import segment, segment_files

jobqueue = pytest.importorskip("dask_jobqueue.local")

pytestmark = pytest.mark.slow


def test_jobs_segment_files(tmp_path, tiny_checkpoint, discs, monkeypatch):
    preload = str(Path(__file__).with_name("tiny_preload.py"))
    monkeypatch.chdir(tmp_path)
    files = {}
    for n in range(3):
        np.save(tmp_path / f"{n}.npy", discs(80, 90, seed=n))
        files[tmp_path / f"{n}.npy"] = tmp_path / "out" / f"{n}.npy"
    with jobqueue.LocalCluster(
        cores=1,
        processes=1,
        memory="2GB",
        interface="lo",
        scheduler_options={"dashboard_address": "127.0.0.1:0"},
        worker_extra_args=["--nthreads", "1", "--preload", preload, "--no-dashboard"],
        job_script_prologue=[f"export PYTHONPATH={os.environ.get('PYTHONPATH', '')}"],
    ) as cluster:
        cluster.scale(jobs=2)
        done = segment_files(files, tiny_checkpoint, scheduler=cluster.scheduler_address, tile=64)
    assert done.failed == {}
    for path, output in files.items():
        labels = segment(np.load(path), tiny_checkpoint, tile=64).labels
        np.testing.assert_array_equal(np.load(output), labels)
