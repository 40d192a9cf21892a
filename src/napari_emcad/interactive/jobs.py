"""What runs in a thread while the model is taught: a look at paint, a training, an update.

torch is imported when a training or an update first runs.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_emcad.inference.events import InferenceSettings, Notice, Progress
from napari_emcad.interactive.annotated_patches import looked, merged_record
from napari_emcad.io.checkpoints.heads import with_class_labels
from napari_emcad.training.events import Snapshot, StepEnd

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator

    from napari_emcad.annotation.record import Record
    from napari_emcad.interactive.annotated_patches import AnnotatedImage
    from napari_emcad.interactive.plane_cache import PlaneCache
    from napari_emcad.interactive.preview import VisibleRegion
    from napari_emcad.interactive.task import TrainChoices, TrainingTask
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What a job teaches, gathered on the main thread."""

    checkpoint: Checkpoint
    sources: tuple[AnnotatedImage, ...]
    record: Record
    choices: TrainChoices
    device: str
    opened: Checkpoint | None = None

    def lesson(self, checkpoint: Checkpoint) -> TrainingTask:
        """Return what a checkpoint is to learn."""
        from napari_emcad.interactive.task import TrainingTask

        opened = self.opened if checkpoint is self.checkpoint else None
        config = self.choices.config
        return TrainingTask(checkpoint, self.sources, self.record, config, self.device, opened)

    @property
    def strokes(self) -> int:
        """How many were painted so far."""
        return sum(self.record.strokes.values())

    @property
    def steps(self) -> int:
        """How many steps a training takes."""
        config = self.choices.config
        crops = config.crops_per_epoch or config.batch
        return config.epochs * -(-crops // config.batch)

    @property
    def held_out(self) -> int:
        """Pixels behind a score; 0 where it would say nothing."""
        record = merged_record(self.sources, self.record)
        return 0 if record.why_no_score() else sum(record.held_out.values())


@dataclass(frozen=True, slots=True, eq=False)
class Unfinished:
    """The model of a training that still runs."""

    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True, eq=False)
class FineTuned:
    """Result of a training, with the mean uncertainty of held-out pixels and the base model."""

    taught: Any
    doubt: float | None
    came_of: Checkpoint


def look_job(
    sources: tuple[AnnotatedImage, ...], record: Record, classes: int
) -> Generator[Any, None, Record | None]:
    """Return the record after another look, or None if nothing has changed."""
    yield from ()
    fresh = looked(sources, record, classes)
    before, after = record.pages, fresh.pages
    same = before.keys() == after.keys() and all(before[k] is after[k] for k in after)
    return None if same else fresh


def train_job(
    plan: Plan, cache: PlaneCache, screen: VisibleRegion, stop: threading.Event
) -> Generator[Any, None, Any]:
    """Train as planned and return a `FineTuned`; yields the events of `fine_tune_job`."""
    from napari_emcad.interactive.fine_tune import fine_tune_job, unfinished

    checkpoint = yield from _started(plan, stop)
    lesson = plan.lesson(checkpoint)
    job = fine_tune_job(lesson, cache, screen, stop)
    while True:
        try:
            event = next(job)
        except StopIteration as ended:
            taught = ended.value
            doubt = _doubt(plan, taught.checkpoint, stop)
            return FineTuned(taught, doubt, lesson.opened or lesson.checkpoint)
        if isinstance(event, Snapshot):
            yield Unfinished(unfinished(lesson, event))
            continue
        yield event
        if isinstance(event, StepEnd):
            yield Progress(event.step, event.total)


def update_job(
    tutor: Any,
    plan: Plan,
    cache: PlaneCache,
    screen: VisibleRegion,
    seconds: float,
    stop: threading.Event,
) -> Generator[Any, None, Any]:
    """Let a tutor, or a new one, learn for some seconds; return it and its `Update`."""
    from napari_emcad.interactive.live import LiveTrainer

    tutor = tutor or LiveTrainer(plan.checkpoint, plan.choices.config, plan.device)
    update = yield from tutor.update(plan.lesson(plan.checkpoint), cache, screen, seconds, stop)
    return tutor, update


def _doubt(plan: Plan, checkpoint: Checkpoint, stop: threading.Event) -> float | None:
    """Return a model's mean doubt of what is held out; None where it cannot be told.

    It takes as long as one validation, and a training is never lost for it.
    """
    from napari_emcad.interactive.calibrate import held_out_answers

    if not plan.held_out or stop.is_set():
        return None
    settings = InferenceSettings(device=plan.device)
    job = held_out_answers(checkpoint, plan.sources, plan.record, settings, stop)
    with suppress(RuntimeError, ValueError, MemoryError, OSError):
        while True:
            try:
                next(job)
            except StopIteration as ended:
                return None if ended.value is None else float(ended.value.doubt)
    return None


def _started(plan: Plan, stop: threading.Event) -> Generator[Notice, None, Checkpoint]:
    """Return what a training starts from; an encoder is fetched or read here."""
    start = plan.choices.start
    if start == "model":
        return plan.checkpoint
    from napari_emcad.io.checkpoints.hub import hub_encoder
    from napari_emcad.io.checkpoints.initialize import initialize_checkpoint

    kept, file = plan.checkpoint, plan.choices.encoder_file
    encoder, inputs = kept.config.encoder, kept.config.input_channels
    if start == "imagenet":
        yield Notice(f"Fetching {encoder} with ImageNet weights, if it is not here yet …")
        file = hub_encoder(encoder, stop=stop)
    if start == "nothing":
        fresh = initialize_checkpoint(encoder=encoder, input_channels=inputs)
    else:
        fresh = initialize_checkpoint(file, input_channels=inputs)
    return with_class_labels(replace(fresh, preprocessing=kept.preprocessing), kept.classes)
