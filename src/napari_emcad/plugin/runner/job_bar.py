"""Runs one job in a thread, shows how far it is, and stops it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_emcad.inference.events import Progress
from napari_emcad.plugin.runner.thread import JobThread
from napari_emcad.plugin.widgets.helpers import text

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_emcad.plugin.runner.thread import MakeJob, Outcome


class JobBar(QWidget):
    """A strip with a progress bar, the time left, a Stop button and the last message.

    Only one job runs at a time; the caller sees to that.
    """

    def __init__(self) -> None:
        super().__init__()
        self._thread: JobThread | None = None
        self._begun = 0.0
        self._progress = QProgressBar()
        self._progress.setTextVisible(False)
        self._stop = QPushButton("Stop")
        self._stop.setToolTip("Ends after the current batch; what is done stays")
        self._stop.clicked.connect(self.stop)
        self._cancel, self._cancelled = QPushButton("Cancel"), False
        self._cancel.setToolTip("Ends after the current batch; everything is as it was before")
        self._cancel.clicked.connect(self.cancel)
        self._progress_text, self._message = text(), text()
        self._build()
        self._show_running(False)

    def _build(self) -> None:
        self._strip = QWidget()
        row = QHBoxLayout(self._strip)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._progress, 1)
        row.addWidget(self._stop)
        row.addWidget(self._cancel)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._message)
        column.addWidget(self._progress_text)
        column.addWidget(self._strip)

    @property
    def running(self) -> bool:
        """Whether a job runs."""
        return self._thread is not None

    def start(
        self,
        verb: str,
        make_job: MakeJob,
        on_event: Callable[[Any], object],
        on_end: Callable[[Outcome], object],
        *,
        cancellable: bool = False,
        quiet: bool = False,
    ) -> None:
        """Run a job; both callbacks are called on the main thread.

        Parameters
        ----------
        verb
            What is shown while it runs.
        make_job
            Given a stop event, returns the generator; called in the thread.
        on_event
            Called with everything the job yields.
        on_end
            Called once, whatever the ending, after the strip has closed.
        cancellable
            Whether the user may want nothing of it, besides stopping it.
        quiet
            Whether the strip stays closed; for what is over in a moment.
        """
        thread = JobThread(make_job)
        self._thread = thread
        self._verb, self._on_event, self._on_end = verb, on_event, on_end
        self._begun, self._cancelled = 0.0, False
        if not quiet:
            self.say("")
            self._progress_text.setText(f"{verb} …")
            self._show_running(True)
            self._cancel.setVisible(cancellable)
        # Bound methods of this widget: Qt cuts these connections when it is destroyed.
        thread.happened.connect(self._happened)
        thread.ended.connect(self._ended)
        self.destroyed.connect(thread.stop)
        thread.start()

    def _happened(self, event: Any) -> None:
        if isinstance(event, Progress):
            self._show_progress(event)
        self._on_event(event)

    def _ended(self, outcome: Outcome) -> None:
        self._thread = None
        self._show_running(False)
        self._on_end(replace(outcome, cancelled=self._cancelled))

    def cancel(self) -> None:
        """Ask the job to end and want nothing of it."""
        self._cancelled = True
        self.stop()

    def stop(self) -> None:
        """Ask the job to end; the button says so until it does."""
        if self._thread is not None:
            self._thread.stop()
            self._stop.setText("Stopping …")
            self._stop.setEnabled(False)
            self._cancel.setEnabled(False)

    def close_down(self) -> None:
        """Give the job up because the panel goes away: what it still says reaches nobody."""
        if self._thread is not None:
            self._thread.give_up()
            self._thread = None
            self._show_running(False)

    def say(self, message: str, error: bool = False) -> None:
        """Show a message."""
        self._message.setText(message)
        self._message.setVisible(bool(message))
        self._message.setStyleSheet("color: #e5534b;" if error else "")

    @property
    def message(self) -> str:
        """The last thing that was said."""
        return str(self._message.text())

    @property
    def progress(self) -> str:
        """How far the job is, in words."""
        return str(self._progress_text.text())

    def _show_running(self, running: bool) -> None:
        self._strip.setVisible(running)
        self._progress_text.setVisible(running)
        self._stop.setText("Stop")
        self._stop.setEnabled(running)
        self._cancel.setEnabled(running)
        self._progress.setRange(0, 0)

    def _show_progress(self, event: Progress) -> None:
        self._progress.setRange(0, event.total)
        self._progress.setValue(event.done)
        now = time.monotonic()
        if not event.done or not self._begun:
            self._begun, self._first = now, event.done
            return
        pace = (now - self._begun) / max(event.done - self._first, 1)
        left = pace * (event.total - event.done)
        said = f"{self._verb}: {event.done} of {event.total}, {_left(left)}"
        self._progress_text.setText(said)


def _left(seconds: float) -> str:
    if seconds < 1:
        return "almost done"
    if seconds < 90:
        return f"about {seconds:.0f} s left"
    minutes = seconds / 60
    return f"about {minutes:.0f} min left" if minutes < 90 else f"about {minutes / 60:.1f} h left"
