"""Starts, stops and ends the jobs of a panel, one at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from napari_emcad.inference.events import Notice, Progress
from napari_emcad.plugin.runner.thread import JobThread

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_emcad.interactive.session import Session, Ticket
    from napari_emcad.plugin.runner.job_bar import JobBar
    from napari_emcad.plugin.runner.thread import MakeJob, Outcome


@dataclass(frozen=True, slots=True, eq=False)
class _RunningJob:
    """The running job and its callbacks; see `JobRunner.run`."""

    ticket: Ticket
    thread: JobThread
    on_end: Callable[[Outcome], object]
    on_event: Callable[[Any], object] | None
    on_abandon: Callable[[], object] | None
    on_orphaned: Callable[[Outcome], object] | None


class JobRunner(QObject):
    """Runs the jobs of a panel, one at a time; all callbacks are called on the main thread.

    `Session.running` is the one place that says whether a job runs.

    Parameters
    ----------
    session
        Session of the viewer.
    bar
        Shows progress and messages.
    """

    def __init__(self, session: Session, bar: JobBar) -> None:
        super().__init__(bar)
        self._session, self._bar = session, bar
        self._job: _RunningJob | None = None
        self._cancelled = False
        self._holds: Callable[[], object] | None = None
        bar.stop_requested.connect(self.stop)
        bar.cancel_requested.connect(self.cancel)

    @property
    def running(self) -> bool:
        """Whether a job of this panel runs."""
        return self._job is not None

    @property
    def message(self) -> str:
        """The last message."""
        return self._bar.message

    def show_message(
        self, message: str, error: bool = False, holds: Callable[[], object] | None = None
    ) -> None:
        """Show a message to the user.

        Parameters
        ----------
        message
            The message; "" removes the last one.
        error
            Whether it is an error.
        holds
            Returns whether the cause of the message still exists; None if it has none that ends.
        """
        self._holds = holds
        self._bar.show_message(message, error)

    def check_message(self) -> None:
        """Remove the message if its cause has gone."""
        if self._holds is not None and not self._holds():
            self.show_message("")

    def run(
        self,
        verb: str,
        make_job: MakeJob,
        on_end: Callable[[Outcome], object],
        on_event: Callable[[Any], object] | None = None,
        *,
        on_abandon: Callable[[], object] | None = None,
        on_orphaned: Callable[[Outcome], object] | None = None,
        preemptible: bool = False,
        cancellable: bool = False,
        quiet: bool = False,
    ) -> Ticket:
        """Start a job and return its ticket.

        Parameters
        ----------
        verb
            Description for the user: "Segmenting nuclei".
        make_job
            Called in a thread with a stop event; returns the generator.
        on_end
            Called once when the job has ended and another may start; an error has been shown.
        on_event
            Called with each event of the job. `Progress` and `Notice` events are also shown.
        on_abandon
            Called instead of `on_end` if the panel is closed while the job runs.
        on_orphaned
            Called with the outcome when a job has ended whose panel was closed. It is called in the
            job's thread and may use neither the panel nor napari.
        preemptible
            Whether the job may be stopped for another one that the user asks for.
        cancellable
            Whether the user may discard the result, besides stopping the job.
        quiet
            Whether the progress bar stays hidden, for short jobs.

        Raises
        ------
        RuntimeError
            If another job is running.
        """
        ticket = self._session.begin(verb, preemptible)
        thread = JobThread(make_job)
        self._job = _RunningJob(ticket, thread, on_end, on_event, on_abandon, on_orphaned)
        self._cancelled = False
        if not quiet:
            self._holds = None  # the bar removes the message
            self._bar.show_started(verb, cancellable)
        # Connected to bound methods of this object, so that Qt disconnects them when it is deleted.
        thread.yielded.connect(self._on_event)
        thread.ended.connect(self._on_end)
        self.destroyed.connect(thread.stop)
        thread.start()
        return ticket

    def stop(self) -> None:
        """Ask the running job to end; what it has done stays."""
        if self._job is not None:
            self._job.thread.stop()
            self._bar.show_stopping()

    def cancel(self) -> None:
        """Ask the running job to end, and mark its outcome as cancelled."""
        self._cancelled = True
        self.stop()

    def abandon(self) -> None:
        """Stop listening to the running job because the panel closes; see `release`."""
        if self._job is not None:
            self._job.thread.abandon(self._job.on_orphaned)
            self._bar.show_ended()

    def release(self) -> None:
        """End the abandoned job's ticket, so that a panel opened later is not blocked by it."""
        job, self._job = self._job, None
        if job is not None and job.on_abandon is not None:
            job.on_abandon()
        if self._session.running is not None:
            self._session.end(self._session.running)

    def _on_event(self, event: Any) -> None:
        job = self._job
        if job is None:
            return
        if isinstance(event, Progress):
            self._bar.show_progress(event)
        if not self._session.accept(job.ticket, event):
            return
        if isinstance(event, Notice):
            self.show_message(event.text)
        elif job.on_event is not None:
            job.on_event(event)

    def _on_end(self, outcome: Outcome) -> None:
        job, self._job = self._job, None
        if job is None:
            return
        self._bar.show_ended()
        self._session.end(job.ticket)
        if outcome.error:
            self.show_message(outcome.error, error=True)
        job.on_end(replace(outcome, cancelled=self._cancelled))
