"""A generator in a thread of its own, and what became of it."""

from __future__ import annotations

import atexit
import logging
import threading
import time
import traceback
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
"""What is raised with a sentence for the user."""

_PATIENCE_S = 30
_THREADS: WeakSet[JobThread] = WeakSet()


@atexit.register
def _end_threads() -> None:
    """Stop what still runs and wait for its batch: Python's end would cut torch in the middle."""
    for thread in list(_THREADS):
        thread.stop()
    for thread in list(_THREADS):
        thread.wait(_PATIENCE_S)


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What became of a job: its result, or a sentence about what went wrong, after how long.

    `cancelled` says that the user wants nothing of it.
    """

    result: Any = None
    error: str = ""
    seconds: float = 0.0
    cancelled: bool = False


class JobThread(QObject):
    """A generator in a thread; everything it raises becomes an `Outcome`.

    Qt's thread pool waits for its threads when the program ends, and superqt's workers swallow
    RuntimeErrors, which is what torch raises. Hence plain threading. The application owns the
    Qt side and deletes it on the main thread, after everything said has been heard.

    Parameters
    ----------
    make_job
        Given the stop event, returns the generator; called in the thread.
    """

    happened = Signal(object)
    ended = Signal(object)

    def __init__(self, make_job: MakeJob) -> None:
        super().__init__(QCoreApplication.instance())
        self._make_job = make_job
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="napari-emcad job", daemon=True)
        _THREADS.add(self)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the job to end after its current batch."""
        self._stop.set()

    def give_up(self) -> None:
        """Ask the job to end, and tell nobody any more what it says."""
        self.stop()
        for signal in (self.happened, self.ended):
            with suppress(TypeError, RuntimeError):  # nobody listens to it
                signal.disconnect()

    def wait(self, seconds: float) -> bool:
        """Wait for the job to end, if it has begun; return whether it did."""
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        begun = time.monotonic()
        outcome = replace(self._outcome(), seconds=time.monotonic() - begun)
        self._tell(self.ended, outcome)
        with suppress(RuntimeError):  # the application has gone
            self.deleteLater()

    def _outcome(self) -> Outcome:
        try:
            job = self._make_job(self._stop)
            while True:
                self._tell(self.happened, next(job))
        except StopIteration as ended:
            return Outcome(ended.value)
        except Exception as error:  # noqa: BLE001  (handed over as data; a thread has no caller)
            level = logging.DEBUG if isinstance(error, _EXPECTED) else logging.ERROR
            _LOG.log(level, "A job failed:\n%s", traceback.format_exc())
            return Outcome(error=_sentence(error))

    def _tell(self, signal: Any, value: Any) -> None:
        try:
            signal.emit(value)
        except RuntimeError:  # the window has gone, and with it whoever listened
            self._stop.set()


def _sentence(error: Exception) -> str:
    """Return what a user should read; traceback and tensors are left behind."""
    said = str(error).strip()
    if isinstance(error, _EXPECTED) and said:
        return said
    return f"{type(error).__name__}: {said or 'no further word'}"
