"""Wait until the workers of a cluster have ended the tasks of a run that was stopped."""

from __future__ import annotations

import time
from typing import Any

_PAUSE_S, _LONGEST_S = 0.05, 120.0


def wait_until_idle(client: Any, run_id: str, longest: float = _LONGEST_S) -> None:
    """Wait for the cancelled tasks of a run that workers are still computing.

    Dask cannot stop a task that has begun. Until it ends, it reads the image, which the user may
    want to replace, and writes to the folder of the run, which the next start reads.

    Parameters
    ----------
    client
        Client of dask.
    run_id
        What the keys of the tasks contain.
    longest
        Seconds after which waiting ends, for workers that no longer answer.
    """
    end = time.monotonic() + longest
    while time.monotonic() < end:
        try:
            counts = client.run(count_tasks, run_id, on_error="ignore")
        except (OSError, RuntimeError, ValueError):  # the scheduler is gone, or has no workers
            return
        if not any(counts.values()):
            return
        time.sleep(_PAUSE_S)


def count_tasks(run_id: str, dask_worker: Any) -> int:
    """Return the number of tasks of a run that this worker computes or is about to."""
    state = dask_worker.state
    begun = state.all_running_tasks
    waiting = ("ready", "constrained", "waiting", "fetch", "flight")
    tasks = [task for task in state.tasks.values() if run_id in str(task.key)]
    return sum(task in begun or task.state in waiting for task in tasks)
