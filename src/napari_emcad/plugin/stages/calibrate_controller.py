"""Between the calibration box and the session: asks the model about held-out paint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject
from superqt.utils import qthrottled

from napari_emcad.inference.events import InferenceSettings
from napari_emcad.interactive.annotated_patches import merged_record
from napari_emcad.interactive.calibrate import calibrate, why_not_calibrate

if TYPE_CHECKING:
    from napari_emcad.annotation.record import Record
    from napari_emcad.interactive.annotated_patches import AnnotatedImage
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.plugin.annotations.pairs import AnnotationLayers
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.runner.thread import Outcome
    from napari_emcad.plugin.stages.calibration_box import CalibrationBox

_SHOW_MS = 80


class CalibrateController(QObject):
    """Does what the calibration box wants, and keeps it up to date.

    Parameters
    ----------
    context
        Of the panel.
    notes
        Say what is held out.
    box
        What is shown.
    """

    def __init__(self, context: Context, notes: AnnotationLayers, box: CalibrationBox) -> None:
        super().__init__(box)
        self._context, self._session = context, context.session
        self._notes, self._box = notes, box
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
            self._context.say(reason, error=True)
            return
        sources, record = self._held_out(checkpoint)
        settings = self._settings()
        self._context.run(
            "Calibrating",
            lambda stop: calibrate(checkpoint, sources, record, settings, stop),
            self._ended,
        )

    def _ended(self, outcome: Outcome) -> None:
        if outcome.error:
            return
        if outcome.result is None:
            self._context.say("Stopped; doubt is as it was.")
            return
        self._session.calibrate(outcome.result)
        self._context.say(f"Calibrated in {outcome.seconds:.1f} s.")

    def show(self, _: object = None) -> None:
        """Bring the box up to date."""
        found = self._session.calibration
        stale = found is not None and found.checkpoint is not self._session.checkpoint
        shown = None if stale else found
        self._box.show_state(self._why_not(), self._session.why_not_run(), shown, stale)

    def _why_not(self) -> str:
        """Return why held-out paint says nothing about the open model, or ""."""
        checkpoint, project = self._session.checkpoint, self._session.project
        if checkpoint is None:
            return "Open a model first."
        reason = why_not_calibrate(self._held_out(checkpoint)[1])
        names = [each.name for each in project.called_now(checkpoint.classes)]
        if not reason and names != [each.name for each in project.classes]:
            return "The model does not have the classes that are painted: train it first."
        return reason

    def _held_out(self, checkpoint: Checkpoint) -> tuple[tuple[AnnotatedImage, ...], Record]:
        sources = self._notes.sources(checkpoint)
        record = self._session.project.record
        return sources, merged_record(sources, record)

    def _settings(self) -> InferenceSettings:
        panel = self._context.segment_panel
        if panel.problem:
            return InferenceSettings(device=self._context.device)
        return panel.value().settings

    def _signals(self) -> tuple[Any, ...]:
        session = self._session
        return (
            session.checkpoint_changed,
            session.calibration_changed,
            session.running_changed,
            session.project.record_changed,
            session.project.pairs_changed,
            session.project.classes_changed,
        )

    def release(self) -> None:
        """Let go of the session; it is not used again."""
        for signal in self._signals():
            signal.disconnect(self.show_soon)
