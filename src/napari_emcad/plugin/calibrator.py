"""Between the calibration box and the session: asks the model about held-out paint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject
from superqt.utils import qthrottled

from napari_emcad.calibration import calibrate, why_not_calibrate
from napari_emcad.inference.events import InferenceSettings
from napari_emcad.painting import lesson_of

if TYPE_CHECKING:
    from napari_emcad.imaging.strokes import Record
    from napari_emcad.io.checkpoint import Checkpoint
    from napari_emcad.painting import Painted
    from napari_emcad.plugin.calibration_box import CalibrationBox
    from napari_emcad.plugin.job_bar import JobBar, Outcome
    from napari_emcad.plugin.segment_panel import SegmentPanel
    from napari_emcad.plugin.teacher import Teacher
    from napari_emcad.session import Session, Ticket

_SHOW_MS = 80


class Calibrator(QObject):
    """Does what the calibration box wants, and keeps it up to date.

    Parameters
    ----------
    session, teacher
        Of one window; the teacher's pairs say what is held out.
    box
        What is shown.
    segment_panel
        Its settings count.
    job_bar
        Runs the job.
    """

    def __init__(
        self,
        session: Session,
        teacher: Teacher,
        box: CalibrationBox,
        segment_panel: SegmentPanel,
        job_bar: JobBar,
    ) -> None:
        super().__init__(box)
        self._session, self._teacher, self._box = session, teacher, box
        self._segment_panel, self._job_bar = segment_panel, job_bar
        self.show_soon = qthrottled(self.show, timeout=_SHOW_MS, parent=box)
        box.wanted.connect(self.calibrate)
        for signal in self._signals():
            signal.connect(self.show_soon)
        self.show()

    def calibrate(self) -> None:
        """Fit a temperature to what is held out now."""
        checkpoint = self._session.checkpoint
        reason = self._session.why_not_run() or self._why_not()
        if reason or checkpoint is None:
            self._job_bar.say(reason, error=True)
            return
        sources, record = self._held_out(checkpoint)
        settings = self._settings()
        ticket = self._session.begin("Calibrating")
        self._job_bar.start(
            ticket.verb,
            lambda stop: calibrate(checkpoint, sources, record, settings, stop),
            lambda event: self._session.accept(ticket, event),
            lambda outcome: self._ended(ticket, outcome),
        )

    def _ended(self, ticket: Ticket, outcome: Outcome) -> None:
        self._session.end(ticket)
        if outcome.error:
            self._job_bar.say(outcome.error, error=True)
        elif outcome.result is None:
            self._job_bar.say("Stopped; doubt is as it was.")
        else:
            self._session.calibrate(outcome.result)
            self._job_bar.say(f"Calibrated in {outcome.seconds:.1f} s.")

    def show(self, _: object = None) -> None:
        """Bring the box up to date."""
        found = self._session.calibration
        stale = found is not None and found.checkpoint is not self._session.checkpoint
        shown = None if stale else found
        self._box.show_state(self._why_not(), self._session.why_not_run(), shown, stale)

    def _why_not(self) -> str:
        """Return why held-out paint says nothing about the open model, or ""."""
        checkpoint, workbook = self._session.checkpoint, self._session.workbook
        if checkpoint is None:
            return "Open a model first."
        reason = why_not_calibrate(self._held_out(checkpoint)[1])
        names = [each.name for each in workbook.called_now(checkpoint.classes)]
        if not reason and names != [each.name for each in workbook.classes]:
            return "The model does not have the classes that are painted: train it first."
        return reason

    def _held_out(self, checkpoint: Checkpoint) -> tuple[tuple[Painted, ...], Record]:
        sources = self._teacher.notes.sources(checkpoint)
        record = self._session.workbook.record
        return sources, lesson_of(sources, record)

    def _settings(self) -> InferenceSettings:
        if self._segment_panel.problem:
            return InferenceSettings(device=self._segment_panel.device.currentData())
        return self._segment_panel.value().settings

    def _signals(self) -> tuple[Any, ...]:
        session = self._session
        return (
            session.checkpoint_changed,
            session.calibration_changed,
            session.running_changed,
            session.workbook.record_changed,
            session.workbook.pairs_changed,
            session.workbook.classes_changed,
        )

    def release(self) -> None:
        """Let go of the session; it is not used again."""
        for signal in self._signals():
            signal.disconnect(self.show_soon)
