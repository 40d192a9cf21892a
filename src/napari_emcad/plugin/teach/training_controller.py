"""Starts trainings and live updates, and adds their results to the session."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_emcad.inference.events import Region
from napari_emcad.interactive.instant_events import Shown
from napari_emcad.interactive.jobs import UnfinishedModel, live_update_job, training_job
from napari_emcad.interactive.plane_cache import PlaneCache
from napari_emcad.interactive.session import wait_message
from napari_emcad.plugin.teach.preview import finish_preview
from napari_emcad.plugin.teach.queue import TrainingQueue
from napari_emcad.plugin.teach.tasks import TaskBuilder
from napari_emcad.plugin.teach.training_result import (
    add_trained,
    add_updated,
    keep_trained,
    keep_updated,
)
from napari_emcad.plugin.teach.training_summary import training_message
from napari_emcad.training.events import EpochEnd, StepEnd

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_emcad.interactive.live import LiveTrainer
    from napari_emcad.interactive.session import Ticket
    from napari_emcad.interactive.task import TrainingSettings, TrainingTask
    from napari_emcad.interactive.versions import Version
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.pipelines.segmentation_model import SegmentationModel
    from napari_emcad.plugin.annotations.pairs import AnnotationLayers
    from napari_emcad.plugin.layers.result import Result
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.runner.thread import Outcome
    from napari_emcad.plugin.teach.preview import Preview
    from napari_emcad.training.config import TrainingConfig

_LIVE_S, _NOW_S = 0.7, 4.0
"""Duration of an update in seconds: after a stroke, and when the user asks for one."""


class LiveState(Enum):
    """State of Live mode."""

    OFF = "off"
    IDLE = "waits for strokes"
    PENDING = "on"
    UPDATING = "updating …"


class TrainingController(QObject):
    """Runs trainings and live updates.

    Parameters
    ----------
    context
        Shared state of the panel.
    annotations
        Annotation layers.
    preview
        Predicts the image of the current annotation.
    settings
        Returns the values of the training form.

    Signals
    -------
    started
        A training or update has started, with its number of steps; 0 if unknown.
    progressed
        A `StepEnd` or `EpochEnd`.
    changed
        The state that is shown may have changed.
    unfinished
        The model of a running training, now and then.
    shown
        A `Shown` event of a live update.
    """

    started = Signal(int)
    progressed = Signal(object)
    changed = Signal()
    unfinished = Signal(object)
    shown = Signal(object)

    def __init__(
        self,
        context: Context,
        annotations: AnnotationLayers,
        preview: Preview,
        settings: Callable[[], TrainingSettings],
    ) -> None:
        super().__init__(annotations)
        self._context, self._session = context, context.session
        self._preview, self._settings, self._annotations = preview, settings, annotations
        self.tasks = TaskBuilder(self._session, annotations)
        self.queue = TrainingQueue(context, annotations)
        self.queue.scanned.connect(self._scanned)
        self.queue.free.connect(self._update_live)
        self._cache = PlaneCache()
        self._live, self._pending = False, False
        self._live_trainer: LiveTrainer | None = None
        self._live_checkpoint: Checkpoint | None = None
        self._live_config: TrainingConfig | None = None
        self._update: Ticket | None = None
        self._training: Ticket | None = None
        self._session.project.entries_changed.connect(self._entries_changed)

    # -- state

    @property
    def live_state(self) -> LiveState:
        """State of Live mode."""
        if not self._live:
            return LiveState.OFF
        if self.updating:
            return LiveState.UPDATING
        return LiveState.PENDING if self._pending else LiveState.IDLE

    @property
    def updating(self) -> bool:
        """Whether a live update runs."""
        return self._update is not None and self._session.running is self._update

    @property
    def shown_model(self) -> SegmentationModel | None:
        """The model whose prediction Live mode shows; None if it is off."""
        instant = self._live_trainer and self._live_trainer.shown_instant
        return (instant or self._session.checkpoint) if self._live else None

    def why_not(self) -> str:
        """Return the reason why nothing can be learned now, or ""."""
        if self._session.checkpoint is None:
            return "Open a model first."
        return (
            self._annotations.why_not_enabled()
            or self.queue.problem
            or self._session.project.why_not_train()
        )

    # -- requests of the user

    def train(self) -> None:
        """Train with the settings of the form on all strokes painted so far."""
        self.queue.request(self._start_training)

    def update_now(self) -> None:
        """Train for some seconds, whether Live mode is on or not."""
        self.queue.request(lambda: self._start_update(_NOW_S, quiet=False))

    def set_live(self, live: bool) -> None:
        """Switch Live mode on or off: learning each stroke as it is painted."""
        self._live = live
        if live:
            self.queue.scan()
        else:
            self._live_trainer = None
        self.changed.emit()

    def forget_live_trainer(self) -> None:
        """Drop the live trainer, because classes or settings have changed."""
        self._live_trainer = None

    def go_to(self, version: Version) -> None:
        """Use another version and show its prediction."""
        try:
            self._session.go_to(version)
        except ValueError as error:
            self._context.show_message(str(error), error=True)
            return
        self._live_trainer = None
        self._preview.refresh(quiet=True)

    # -- live mode

    def _scanned(self, new: bool) -> None:
        self._pending = self._pending or new
        self.changed.emit()

    def _update_live(self) -> None:
        if self._live and self._pending and not self.why_not():
            self._start_update(_LIVE_S, quiet=True)

    # -- training

    def _task(self) -> tuple[TrainingTask, TrainingSettings] | None:
        """Return the task and the settings, or show why nothing can be learned."""
        checkpoint, running = self._session.checkpoint, self._session.running
        reason = self.why_not()
        if not reason and running is not None:
            message = wait_message(running)
            self._context.show_message(message, True, lambda: self._session.running is running)
            return None
        try:
            if reason or checkpoint is None:
                raise ValueError(reason)
            settings, device = self._settings(), self._context.image_input.device
            task = self.tasks.build(checkpoint, settings, device)
        except ValueError as error:
            holds = (lambda: self.why_not() == reason) if reason else None
            self._context.show_message(str(error), error=True, holds=holds)
            return None
        return task, settings

    def _start_training(self) -> None:
        if (built := self._task()) is None:
            return
        task, settings = built
        result = self._preview.begin(task.checkpoint)
        cache, visible = self._cache, self._preview.visible
        self._training = self._context.runner.run(
            "Training",
            lambda stop: training_job(task, settings, cache, visible, stop),
            lambda outcome: self._training_ended(task, result, outcome),
            lambda event: self._job_event(result, event),
            on_abandon=None if result is None else result.release,
            on_orphaned=keep_trained(self._session, self._context.saver, task, settings.steps),
            cancellable=True,
        )
        self.started.emit(settings.steps)
        self._preview.show_problem(result)

    def _training_ended(self, task: TrainingTask, result: Result | None, outcome: Outcome) -> None:
        finish_preview(result, outcome)
        if outcome.error:
            return
        if outcome.cancelled:
            self._context.show_message("Cancelled; the model is as it was.")
            self._preview.refresh(quiet=True)
            return
        self._live_trainer = None
        advice = add_trained(self._session, task, outcome.result)
        course = outcome.result.result.course
        message = training_message(course, task.held_out_pixels, outcome.seconds)
        self._context.show_message(f"{message} {advice}".strip())
        self._preview.refresh(quiet=True)

    def _job_event(self, result: Result | None, event: Any) -> None:
        if isinstance(event, Region) and result is not None:
            result.fill(event)
        elif isinstance(event, (StepEnd, EpochEnd)):
            self.progressed.emit(event)
        elif isinstance(event, Shown):
            self.shown.emit(event)
        elif isinstance(event, UnfinishedModel):
            self.unfinished.emit(event.checkpoint)

    # -- live updates

    def _start_update(self, seconds: float, quiet: bool) -> None:
        if (built := self._task()) is None:
            return
        task, _ = built
        if self._live_checkpoint is not task.checkpoint or self._live_config != task.config:
            self._live_trainer = None  # another model, other classes or other settings
        result = self._preview.begin(task.checkpoint)
        trainer, cache, visible = self._live_trainer, self._cache, self._preview.visible
        self._pending = False
        self._update = self._context.runner.run(
            "Updating",
            lambda stop: live_update_job(trainer, task, cache, visible, seconds, stop),
            lambda outcome: self._update_ended(task, result, outcome),
            lambda event: self._job_event(result, event),
            on_abandon=None if result is None else result.release,
            on_orphaned=keep_updated(self._session, self._context.saver, task),
            preemptible=True,
            quiet=quiet,
        )
        self.started.emit(0)
        if not quiet:
            self._preview.show_problem(result)
        self.changed.emit()

    def _update_ended(self, task: TrainingTask, result: Result | None, outcome: Outcome) -> None:
        finish_preview(result, outcome)
        if outcome.error:
            self._live_trainer, self._live = None, False
            self._context.show_message(f"{outcome.error} Live mode is off.", error=True)
            self.changed.emit()
            return
        self._live_trainer, update = outcome.result
        self._live_checkpoint, self._live_config = update.checkpoint, task.config
        add_updated(self._session, task, update)
        self.changed.emit()

    def _entries_changed(self) -> None:
        """Stop a training whose annotations were all removed; what it has learned is kept."""
        running = self._session.running
        if running is not None and running is self._training and not self._session.project.entries:
            self._context.runner.stop()

    def release(self) -> None:
        """Disconnect from the session; the controller is not used again."""
        self._live_trainer, self._live = None, False
        self._session.project.entries_changed.disconnect(self._entries_changed)
        self.queue.release()
