"""``train`` on several processes, as torchrun starts them."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from napari_emcad.cli.console import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    Train = Callable[[argparse.Namespace], int]


def several_processes() -> bool:
    """Whether torchrun started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def run_on_processes(args: argparse.Namespace, first: Train, others: Train) -> int:
    """Connect the processes of torchrun, and train on them.

    Parameters
    ----------
    args
        Command line.
    first
        Trains in the first process, which prints and writes files.
    others
        Trains in all other processes, whose output is dropped.

    Raises
    ------
    UsageError
        If the command line has something that does not work on several processes.
    """
    from napari_emcad.inference.devices import choose_device
    from napari_emcad.training.processes import process_rank, torchrun_processes

    if args.project is not None:
        raise UsageError("--project does not work on several processes; train without torchrun.")
    with torchrun_processes(choose_device(args.device).type):
        if process_rank() == 0:
            return first(args)
        sys.stdout = sys.stderr = None
        return others(args)
