"""Instant: predicts the visible part after every stroke, without a training."""

from __future__ import annotations

from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_emcad.inference.events import Region
from napari_emcad.interactive.instant_events import Shown
from napari_emcad.plugin.teach.preview import finish_preview

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_emcad.interactive.instant import InstantTrainer
    from napari_emcad.interactive.session import Ticket
    from napari_emcad.interactive.task import TrainingSettings, TrainingTask
    from napari_emcad.io.checkpoints.instant_model import InstantModel
    from napari_emcad.plugin.layers.result import Result
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.runner.thread import Outcome
    from napari_emcad.plugin.teach.preview import Preview
    from napari_emcad.plugin.teach.training_controller import TrainingController


class InstantState(Enum):
    """State of Instant mode."""

    OFF = "off"
    ON = "on"
    UPDATING = "updating …"


class InstantController(QObject):
    """Fits an instant model when strokes were added, if Instant mode is on.

    Parameters
    ----------
    context
        Shared state of the panel.
    preview
        Predicts the image of the current annotation.
    training
        Its queue scans the annotations, its tasks are learned.
    settings
        Returns the values of the training form.

    Signals
    -------
    changed
        The state that is shown may have changed.
    shown
        A `Shown` event.
    """

    changed = Signal()
    shown = Signal(object)

    def __init__(
        self,
        context: Context,
        preview: Preview,
        training: TrainingController,
        settings: Callable[[], TrainingSettings],
    ) -> None:
        super().__init__(training)
        self._context, self._session = context, context.session
        self._preview, self._training, self._settings = preview, training, settings
        self._on, self._pending = False, False
        self._shows_strokes = False
        self._trainer: InstantTrainer | None = None
        self._update: Ticket | None = None
        training.queue.scanned.connect(self._scanned)
        training.queue.free.connect(self._update_if_pending)

    @property
    def state(self) -> InstantState:
        """State of Instant mode."""
        if not self._on:
            return InstantState.OFF
        running = self._session.running
        updating = running is not None and running is self._update
        return InstantState.UPDATING if updating else InstantState.ON

    @property
    def shown_model(self) -> InstantModel | None:
        """The model whose prediction Instant mode shows; None if it is off."""
        return self._session.instant if self._on else None

    def set_on(self, on: bool) -> None:
        """Switch Instant mode on or off; all strokes so far are predicted at once.

        Without an image it stays off, and a message has the reason.
        """
        image = self._context.image_input
        if on and image.layer is None:
            self._context.show_message(image.problem, error=True)
            on = False
        self._on, self._pending = on, on
        if on:
            self._training.queue.scan()
        else:
            self._trainer = None
        self.changed.emit()

    def _scanned(self, new: bool) -> None:
        self._pending = self._pending or new
        if new and self._shows_strokes and self.state is InstantState.UPDATING:
            self._context.runner.stop()  # the rest would refine what the new stroke changes

    def _update_if_pending(self) -> None:
        if not (self._on and self._pending) or self._session.running is not None:
            return
        if len(self._session.project.record.pixel_counts) < 2:
            return  # another stroke is needed, of a second class
        task = self._task()
        result = None if task is None else self._preview.begin(task.checkpoint)
        if task is None:
            return
        self._pending = False
        self._preview.show_problem(result)
        if result is not None:
            self._start(task, result)

    def _task(self) -> TrainingTask | None:
        """Return the task of the present annotations; None if nothing can be learned now."""
        checkpoint = self._session.checkpoint
        if checkpoint is None or self._training.why_not():
            return None
        device = self._context.image_input.device
        with suppress(ValueError):  # Train shows the reason
            return self._training.tasks.build(checkpoint, self._settings(), device)
        return None

    def _start(self, task: TrainingTask, result: Result) -> None:
        from napari_emcad.interactive.jobs import instant_update_job

        trainer, visible = self._trainer, self._preview.visible
        self._shows_strokes = False
        self._update = self._context.runner.run(
            "Updating",
            lambda stop: instant_update_job(trainer, task, visible, stop),
            lambda outcome: self._ended(result, outcome),
            lambda event: self._job_event(result, event),
            on_abandon=result.release,
            preemptible=True,
            quiet=True,
        )
        self.changed.emit()

    def _job_event(self, result: Result, event: Any) -> None:
        if isinstance(event, Region):
            result.fill(event)
            self._shows_strokes = True
        elif isinstance(event, Shown):
            self.shown.emit(event)

    def _ended(self, result: Result, outcome: Outcome) -> None:
        finish_preview(result, outcome)
        if outcome.error:
            self._trainer, self._on = None, False
            self._context.show_message(f"{outcome.error} Instant is off.", error=True)
        elif self._on:
            self._trainer, model = outcome.result
            if model is not None:
                self._session.set_instant(model)
        self.changed.emit()

    def release(self) -> None:
        """Forget the model; the controller is not used again."""
        self._trainer, self._on = None, False
