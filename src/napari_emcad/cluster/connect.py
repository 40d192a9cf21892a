"""Connect to a dask cluster: a running one, or one of local processes."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from napari_emcad.cluster.tasks import installed_versions, version_problem

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT_S = 15.0
"""Seconds after which a scheduler that does not answer is given up."""


_ADDRESS = r"(tcp|tls|ws|wss|ucx)://.+:\d+/?|inproc://.+"


class ClusterError(RuntimeError):
    """A cluster cannot be used; the message says why and what to do."""


@contextmanager
def connect(
    workers: int | None, scheduler: str | None, timeout: float = TIMEOUT_S
) -> Iterator[Any]:
    """Return a dask client for the duration of a ``with`` block.

    Parameters
    ----------
    workers
        Number of local processes to start, with one share of the cores per process.
    scheduler
        Address of a running scheduler instead, such as ``"tcp://10.0.0.1:8786"``.
    timeout
        Seconds to wait for the scheduler.

    Raises
    ------
    ClusterError
        If distributed is not installed, the scheduler does not answer, or its workers have other
        versions of this package or torch, or lack them.
    """
    if (workers is None) == (scheduler is None):
        raise ClusterError("Give either a number of workers or the address of a scheduler.")
    distributed = _distributed()
    if scheduler is not None:
        with _client(distributed, scheduler, timeout) as client:
            check_workers(client)
            yield client
        return
    assert workers is not None
    if workers < 1:
        raise ClusterError(f"workers is {workers}; it must be 1 or more.")
    with _local_cluster(distributed, workers) as cluster, distributed.Client(cluster) as client:
        yield client


def check_workers(client: Any) -> None:
    """Check that all workers have this package and torch in the versions of this process.

    Raises
    ------
    ClusterError
        If one has not; the message names the worker, the package and both versions.
    """
    expected = installed_versions()
    found: dict[str, dict[str, Any]] = {}
    for package in expected:  # a function of Python's own, as a worker may lack this package
        answers = client.run(importlib.metadata.version, package, on_error="return")
        for address, answer in answers.items():
            found.setdefault(address, {})[package] = answer
    for address, versions in found.items():
        if problem := version_problem(expected, versions, address):
            raise ClusterError(problem)


def threads_per_worker(workers: int, cores: int) -> int:
    """Return the number of torch threads of a worker, so that all together use the cores once."""
    return max(cores // workers, 1)


def _distributed() -> Any:
    try:
        import distributed
    except ImportError:
        raise ClusterError(
            "Workers need the package distributed, which is not installed: run python -m pip "
            'install "napari-emcad[cluster]".'
        ) from None
    return distributed


def _client(distributed: Any, scheduler: str, timeout: float) -> Any:
    if not re.fullmatch(_ADDRESS, scheduler):  # dask tries some others for very long
        raise ClusterError(
            f"{scheduler} is no address of a dask scheduler; it looks like tcp://10.0.0.1:8786."
        )
    try:
        return distributed.Client(scheduler, timeout=timeout)
    except (OSError, ValueError, TypeError):
        raise ClusterError(
            f"No dask scheduler answers at {scheduler} within {timeout:g} s; check the address "
            f"(such as tcp://10.0.0.1:8786), and that dask scheduler runs there."
        ) from None


def _local_cluster(distributed: Any, workers: int) -> Any:
    """Return a cluster of processes of one task at a time, whose torch threads are bounded."""
    import dask
    from dask.system import CPU_COUNT

    threads = str(threads_per_worker(workers, CPU_COUNT))
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    environment = {name: os.environ.get(name, threads) for name in names}
    with dask.config.set({"distributed.nanny.pre-spawn-environ": environment}):
        return distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",
            memory_limit=0,  # the parts bound the memory; dask would pause workers by its own guess
            silence_logs=logging.CRITICAL,
        )
