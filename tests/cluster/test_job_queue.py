"""Workers that dask-jobqueue starts as jobs give the labels of one process.

SLURM and the other schedulers of jobs differ in the command that submits a job; the local stand-in
of dask-jobqueue runs the job's script instead.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_emcad import segment, segment_files

dask_jobqueue = pytest.importorskip("dask_jobqueue")


# The stand-in does not wait for the processes that it ends.
@pytest.mark.filterwarnings("ignore:.*Popen:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:.*FileIO:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.slow("src", ":!src/napari_emcad/plugin")
def test_jobs_segment_what_one_process_does(tmp_path, tiny_checkpoint, discs):
    from dask_jobqueue.local import LocalCluster

    files = {}
    for n in range(3):
        np.save(tmp_path / f"{n}.npy", discs(96, 80, seed=n))
        files[tmp_path / f"{n}.npy"] = tmp_path / "labels" / f"{n}.npy"
    preload = str(Path(__file__).with_name("tiny_preload.py"))
    with LocalCluster(
        cores=1,
        processes=1,
        memory="4GB",
        worker_extra_args=["--preload", preload],
        local_directory=str(tmp_path / "scratch"),
        log_directory=str(tmp_path / "logs"),
        scheduler_options={"dashboard_address": "127.0.0.1:0"},
    ) as cluster:
        cluster.scale(jobs=2)
        cluster.wait_for_workers(2)
        done = segment_files(files, tiny_checkpoint, scheduler=cluster.scheduler_address, tile=64)
    assert not done.failed
    for path, output in files.items():
        expected = segment(np.load(path), tiny_checkpoint, tile=64, device="cpu").labels
        assert expected.any()
        np.testing.assert_array_equal(np.load(output), expected)
