"""Ctrl-C during a training: the first ends it in order, the second aborts."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from napari_emcad.cli.console import print_message

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def stop_on_interrupt(stop: threading.Event) -> Iterator[None]:
    """Set `stop` with the first Ctrl-C, which ends the training in order; a second one aborts."""

    def handle(*_: object) -> None:
        print_message("stopping after this step; press Ctrl-C again to abort at once.")
        stop.set()
        signal.signal(signal.SIGINT, previous)

    previous = signal.getsignal(signal.SIGINT)
    in_main_thread = threading.current_thread() is threading.main_thread()
    if in_main_thread:
        signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        if in_main_thread:
            signal.signal(signal.SIGINT, previous)
