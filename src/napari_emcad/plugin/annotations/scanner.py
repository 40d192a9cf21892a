"""Looks in a thread at what was painted, one look at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_emcad.interactive.jobs import look_job
from napari_emcad.plugin.runner.thread import JobThread

if TYPE_CHECKING:
    from napari_emcad.interactive.session import Session
    from napari_emcad.plugin.annotations.pairs import AnnotationLayers
    from napari_emcad.plugin.runner.thread import Outcome


class AnnotationScanner(QObject):
    """Keeps the workbook's record true to what is painted.

    Parameters
    ----------
    session
        Of the window; its workbook is told.
    notes
        The annotations.

    Attributes
    ----------
    problem
        Why the last look failed, or "".

    Signals
    -------
    looked
        A look has ended and no other has begun; True if something new is painted.
    """

    looked = Signal(bool)

    def __init__(self, session: Session, notes: AnnotationLayers) -> None:
        super().__init__(notes)
        self._session, self._notes = session, notes
        self._thread: JobThread | None = None
        self._again = False
        self.problem = ""
        notes.painted.connect(self.look)

    @property
    def looking(self) -> bool:
        """Whether a look is under way."""
        return self._thread is not None

    def look(self) -> None:
        """See what is painted now; during a look, once more after it."""
        if self.looking:
            self._again = True
            return
        checkpoint, project = self._session.checkpoint, self._session.project
        if checkpoint is None:
            self.looked.emit(False)
            return
        sources, record = self._notes.to_look_at(checkpoint), project.record
        classes = len(project.classes)
        self._thread = JobThread(lambda _: look_job(sources, record, classes))
        self._thread.ended.connect(self._ended)
        self._thread.start()

    def _ended(self, outcome: Outcome) -> None:
        self._thread = None
        if self._again:
            self._again = False
            self.look()
            return
        self.problem = outcome.error
        fresh = outcome.result
        if fresh is not None:
            self._session.project.take(fresh)
        self.looked.emit(fresh is not None)

    def release(self) -> None:
        """Look no longer."""
        if self._thread is not None:
            self._thread.give_up()
        self._notes.painted.disconnect(self.look)
