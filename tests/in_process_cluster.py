"""A dask cluster whose workers are threads of the process that runs the tests."""

from __future__ import annotations

import logging
from contextlib import contextmanager


@contextmanager
def in_process_cluster(workers):
    """Return the address of the scheduler of a new cluster with workers of one thread."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=False,
        protocol="tcp",
        dashboard_address="127.0.0.1:0",
        memory_limit=0,
        silence_logs=logging.CRITICAL,
    ) as cluster:
        yield cluster.scheduler_address
