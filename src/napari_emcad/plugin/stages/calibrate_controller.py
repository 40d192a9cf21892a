"""Calibrates the open model on held-out pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject
from superqt.utils import qthrottled

from napari_emcad.inference.events import InferenceSettings
from napari_emcad.interactive.annotation_conflicts import merged_record
from napari_emcad.interactive.calibrate import calibrate_job, why_not_calibrate

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
    """Runs calibrations, and keeps the calibration box up to date.

    Parameters
    ----------
    context
        Shared state of the panel.
    annotations
        Annotation layers.
    box
        Shows the calibration.
    """

    def __init__(
        self, context: Context, annotations: AnnotationLayers, box: CalibrationBox
    ) -> None:
        super().__init__(box)
        self._context, self._session = context, context.session
        self._annotations, self._box = annotations, box
        self.show_soon = qthrottled(self.show, timeout=_SHOW_MS, parent=box)
        box.requested.connect(self.calibrate)
        for signal in self._signals():
            signal.connect(self.show_soon)
        self.show()

    def calibrate(self) -> None:
        """Fit a temperature to the present held-out pixels."""
        checkpoint = self._session.checkpoint
        reason = self._session.why_not_run() or self._why_not()
        if reason or checkpoint is None:
            self._context.show_message(reason, error=True)
            return
        images, record = self._held_out(checkpoint)
        settings = self._settings()
        self._context.runner.run(
            "Calibrating",
            lambda stop: calibrate_job(checkpoint, images, record, settings, stop),
            self._ended,
        )

    def _ended(self, outcome: Outcome) -> None:
        if outcome.error:
            return
        if outcome.result is None:
            self._context.show_message("Stopped; the calibration is as it was.")
            return
        self._session.set_calibration(outcome.result)
        self._context.show_message(f"Calibrated in {outcome.seconds:.1f} s.")

    def show(self, _: object = None) -> None:
        """Show the calibration of the open model."""
        calibration = self._session.calibration
        checkpoint = self._session.checkpoint
        stale = calibration is not None and calibration.checkpoint is not checkpoint
        shown = None if stale else calibration
        self._box.show_state(self._why_not(), self._session.why_not_run(), shown, stale)

    def _why_not(self) -> str:
        """Return the reason why the open model cannot be calibrated, or ""."""
        checkpoint, project = self._session.checkpoint, self._session.project
        if checkpoint is None:
            return "Open a model first."
        reason = why_not_calibrate(self._held_out(checkpoint)[1])
        names = [label.name for label in project.with_current_labels(checkpoint.classes)]
        if not reason and names != [label.name for label in project.classes]:
            return "The model does not have the annotated classes: train it first."
        return reason

    def _held_out(self, checkpoint: Checkpoint) -> tuple[tuple[AnnotatedImage, ...], Record]:
        images = self._annotations.enabled_images(checkpoint)
        return images, merged_record(images, self._session.project.record)

    def _settings(self) -> InferenceSettings:
        image_input = self._context.image_input
        if image_input.problem:
            return InferenceSettings(device=image_input.device)
        return image_input.options.settings

    def _signals(self) -> tuple[Any, ...]:
        session = self._session
        return (
            session.checkpoint_changed,
            session.calibration_changed,
            session.running_changed,
            session.project.record_changed,
            session.project.entries_changed,
            session.project.classes_changed,
        )

    def release(self) -> None:
        """Disconnect from the session; the controller is not used again."""
        for signal in self._signals():
            signal.disconnect(self.show_soon)
