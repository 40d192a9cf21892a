"""Scans annotations in a thread and updates the record of the project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_emcad.interactive.jobs import scan_job
from napari_emcad.plugin.runner.thread import JobThread

if TYPE_CHECKING:
    from napari_emcad.interactive.session import Session
    from napari_emcad.plugin.annotations.pairs import AnnotationLayers
    from napari_emcad.plugin.runner.thread import Outcome


class AnnotationScanner(QObject):
    """Runs one scan at a time, after strokes and on request.

    Parameters
    ----------
    session
        Session of the viewer; the record of its project is updated.
    annotations
        Annotation layers.

    Attributes
    ----------
    problem
        Reason why the last scan failed, or "".

    Signals
    -------
    scanned
        A scan has ended and no other has started; True if the record has changed.
    """

    scanned = Signal(bool)

    def __init__(self, session: Session, annotations: AnnotationLayers) -> None:
        super().__init__(annotations)
        self._session, self._annotations = session, annotations
        self._thread: JobThread | None = None
        self._again = False
        self.problem = ""
        annotations.painted.connect(self.scan)

    @property
    def scanning(self) -> bool:
        """Whether a scan runs."""
        return self._thread is not None

    def scan(self) -> None:
        """Start a scan; if one runs, start another after it."""
        if self.scanning:
            self._again = True
            return
        checkpoint, project = self._session.checkpoint, self._session.project
        if checkpoint is None:
            self.scanned.emit(False)
            return
        images, record = self._annotations.all_images(checkpoint), project.record
        classes = len(project.classes)
        self._thread = JobThread(lambda _: scan_job(images, record, classes))
        self._thread.ended.connect(self._ended)
        self._thread.start()

    def _ended(self, outcome: Outcome) -> None:
        self._thread = None
        if self._again:
            self._again = False
            self.scan()
            return
        self.problem = outcome.error
        record = outcome.result
        if record is not None:
            self._session.project.update_record(record)
        self.scanned.emit(record is not None)

    def release(self) -> None:
        """Disconnect; the scanner is not used again."""
        if self._thread is not None:
            self._thread.abandon()
        self._annotations.painted.disconnect(self.scan)
