"""Networks in forked processes, such as the workers of `multiprocessing` on Linux.

The threads of OpenMP, with which torch computes on a CPU, do not exist in a forked process, which
would wait for them forever. Such a process therefore computes with one thread, as the workers of
torch's own data loader do. The process that forked is not changed.
"""

from __future__ import annotations

import os
import sys
from functools import cache


@cache
def survive_forks() -> None:
    """From now on, processes that are forked from this one compute with one thread.

    It is called where a network is built, as before that this package has started no threads.
    """
    if hasattr(os, "register_at_fork"):  # Windows does not fork
        os.register_at_fork(after_in_child=_use_one_thread)


def _use_one_thread() -> None:
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)
