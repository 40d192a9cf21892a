"""The queue of trainings that wait for a scan of the annotations or for a preemptible job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal

from napari_emcad.interactive.session import wait_message
from napari_emcad.plugin.annotations.scanner import AnnotationScanner

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_emcad.interactive.session import Ticket
    from napari_emcad.plugin.annotations.pairs import AnnotationLayers
    from napari_emcad.plugin.runner.context import Context


class TrainingQueue(QObject):
    """Starts a requested training after a scan, so that it learns every stroke painted before.

    A preemptible job (a live update or a preview) is stopped for it.

    Parameters
    ----------
    context
        Shared state of the panel.
    annotations
        Annotation layers.

    Signals
    -------
    scanned
        A scan has ended; True if there are new annotations.
    free
        Nothing is queued and no job runs: a live update may start.
    """

    scanned = Signal(bool)
    free = Signal()

    def __init__(self, context: Context, annotations: AnnotationLayers) -> None:
        super().__init__(annotations)
        self._context, self._session = context, context.session
        self._scanner = AnnotationScanner(self._session, annotations)
        self._scanner.scanned.connect(self._scan_ended)
        self._queued: Callable[[], None] | None = None
        self._session.running_changed.connect(self._running_changed)

    @property
    def idle(self) -> bool:
        """Whether nothing is queued and no scan runs."""
        return self._queued is None and not self._scanner.scanning

    @property
    def problem(self) -> str:
        """Reason why the last scan failed, or ""."""
        return self._scanner.problem

    def scan(self) -> None:
        """Scan the annotations."""
        self._scanner.scan()

    def request(self, start: Callable[[], None]) -> None:
        """Call `start` once nothing has to be waited for; show what has to be waited for."""
        running = self._session.running
        if running is not None and not running.preemptible:
            self._context.show_message(
                wait_message(running), error=True, holds=lambda: self._session.running is running
            )
            return
        if running is not None:
            self._context.runner.stop()
        self._queued = start
        self.scan()

    def _scan_ended(self, new: bool) -> None:
        self.scanned.emit(new)
        self._start_next()

    def _start_next(self) -> None:
        running = self._session.running
        if self._scanner.scanning or (running is not None and running.preemptible):
            return  # this is called again when they end
        start, self._queued = self._queued, None
        if start is not None:
            start()
        elif running is None and not self._context.runner.running:
            self.free.emit()

    def _running_changed(self, ticket: Ticket | None) -> None:
        """Start what is queued after the job that ended has delivered its result."""
        if ticket is None:
            QTimer.singleShot(0, self._start_next)

    def release(self) -> None:
        """Disconnect from the session; the queue is not used again."""
        self._queued = None
        self._scanner.release()
        self._session.running_changed.disconnect(self._running_changed)
