"""A job in a thread of its own, and its outcome."""

from __future__ import annotations

import atexit
import logging
import threading
import time
import traceback
import warnings
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from qtpy.QtCore import QCoreApplication, QObject, Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    Job = Generator[Any, None, Any]
    MakeJob = Callable[[threading.Event], Job]

_LOG = logging.getLogger(__name__)

_EXPECTED = (ValueError, TypeError, OSError, MemoryError)
"""Exceptions whose message is written for the user."""

_PATIENCE_S = 30
_THREADS: WeakSet[JobThread] = WeakSet()


@atexit.register
def _end_threads() -> None:
    """Stop running jobs and wait for their current batch.

    Python's exit kills daemon threads, and a thread that is killed inside torch aborts the process.
    """
    for thread in list(_THREADS):
        thread.stop()
    for thread in list(_THREADS):
        thread.wait(_PATIENCE_S)


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """Outcome of a job.

    Attributes
    ----------
    result
        Value that the job returned; None if it failed.
    error
        Message for the user if the job failed, else "".
    seconds
        Duration.
    cancelled
        Whether the user wants the result discarded.
    """

    result: Any = None
    error: str = ""
    seconds: float = 0.0
    cancelled: bool = False


class JobThread(QObject):
    """Runs a generator in a thread; everything that it raises becomes an `Outcome`.

    This is plain threading, because Qt's thread pool waits for its threads when the program ends,
    and superqt's workers swallow RuntimeErrors, which torch raises. The application owns this
    object and deletes it on the main thread, after all signals have been delivered.

    Parameters
    ----------
    make_job
        Called in the thread with the stop event; returns the generator.

    Signals
    -------
    yielded
        An event of the job.
    ended
        The `Outcome`.
    """

    yielded = Signal(object)
    ended = Signal(object)

    def __init__(self, make_job: MakeJob) -> None:
        super().__init__(QCoreApplication.instance())
        self._make_job = make_job
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._outcome: Outcome | None = None
        self._on_end: Callable[[Outcome], object] | None = None
        self._thread = threading.Thread(target=self._run, name="napari-emcad job", daemon=True)
        _THREADS.add(self)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the job to end after its current batch."""
        self._stop.set()

    def abandon(self, on_end: Callable[[Outcome], object] | None = None) -> None:
        """Ask the job to end, and disconnect its signals.

        Parameters
        ----------
        on_end
            Called with the outcome, in the thread if the job still runs; None drops the outcome.
        """
        with self._lock:
            outcome, self._on_end = self._outcome, on_end
        self.stop()
        for name in ("yielded", "ended"):
            # TypeError, a RuntimeWarning of PySide: nothing is connected; RuntimeError: Qt has
            # deleted this object, which happens once the thread has ended, so that reading the
            # signal fails, too.
            with suppress(TypeError, RuntimeError), warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                getattr(self, name).disconnect()
        if outcome is not None and on_end is not None:
            on_end(outcome)

    def wait(self, seconds: float) -> bool:
        """Wait for the thread to end, if it was started; return whether it has."""
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        start = time.monotonic()
        outcome = replace(self._run_job(), seconds=time.monotonic() - start)
        with self._lock:
            self._outcome, on_end, self._on_end = outcome, self._on_end, None
        if on_end is None:
            self._emit("ended", outcome)
        else:
            on_end(outcome)
        del outcome
        with suppress(RuntimeError):  # the application is gone
            self.deleteLater()

    def _run_job(self) -> Outcome:
        try:
            job = self._make_job(self._stop)
            while True:
                self._emit("yielded", next(job))
        except StopIteration as end:
            return Outcome(end.value)
        except Exception as error:  # noqa: BLE001  (returned as data: a thread has no caller)
            level = logging.DEBUG if isinstance(error, _EXPECTED) else logging.ERROR
            _LOG.log(level, "A job failed:\n%s", traceback.format_exc())
            return Outcome(error=_message(error))

    def _emit(self, signal: str, value: Any) -> None:
        """Emit the signal of this name; stop the job if Qt has deleted this object."""
        try:
            getattr(self, signal).emit(value)
        except RuntimeError:  # the window is gone, and everything that was connected with it
            self._stop.set()


def job_of(work: Callable[[], Any]) -> Job:
    """Return a job without events that returns what a function returns."""
    yield from ()
    return work()


def _message(error: Exception) -> str:
    """Return a message for the user; the traceback, which may hold tensors, is dropped."""
    text = str(error).strip()
    if isinstance(error, _EXPECTED) and text:
        return text
    return f"{type(error).__name__}: {text or 'no message'}"
