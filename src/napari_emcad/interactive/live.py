"""Live mode's tutor, a network that is taught stroke after stroke.

Its network, its optimizer and the pixels of painted pages stay ready between two strokes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_emcad.inference.devices import choose_device
from napari_emcad.inference.events import Notice
from napari_emcad.interactive.familiarity import UNFAMILIAR, task_familiarity, unfamiliar_message
from napari_emcad.interactive.preview import preview_prediction
from napari_emcad.interactive.samples import slices_of
from napari_emcad.pipelines.train import trained_checkpoint
from napari_emcad.training.allocator import retain_freed_memory
from napari_emcad.training.events import HeldOut, StepEnd
from napari_emcad.training.sampler import Sampler
from napari_emcad.training.trainer import Trainer, copy_weights
from napari_emcad.training.validation import mean_dice, mean_iou, pool_scores, validate

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Hashable

    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.inference.events import Region
    from napari_emcad.interactive.familiarity import Familiarity
    from napari_emcad.interactive.plane_cache import PlaneCache
    from napari_emcad.interactive.preview import VisibleRegion
    from napari_emcad.interactive.task import TrainingTask
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.training.config import TrainingConfig
    from napari_emcad.training.events import TrainingEvent
    from napari_emcad.training.samples import LabeledSlice

_SCORE_REST = 20.0
"""Between two scores of held-out strokes Live mode learns so many times as long as one took."""


@dataclass(frozen=True, slots=True, eq=False)
class Update:
    """What came of an update in Live mode.

    Attributes
    ----------
    checkpoint
        The model as it is now.
    loss
        Mean of its steps.
    steps
        How many there were.
    score
        Of what is held out; None if nothing is, or it was scored a moment ago.
    """

    checkpoint: Checkpoint
    loss: float
    steps: int
    score: HeldOut | None


class LiveTrainer:
    """A network that is taught stroke after stroke.

    Parameters
    ----------
    checkpoint
        What it starts from.
    config
        How it learns; the rate does not fall.
    device
        Where.
    """

    def __init__(
        self, checkpoint: Checkpoint, config: TrainingConfig, device: str = "auto"
    ) -> None:
        self._start, self._config, self._device = checkpoint, config, device
        network = checkpoint.network().to(choose_device(device))
        self._learner = Trainer(network, config)
        self._step, self._updates, self._looks = 0, 0, 0
        self._next_score = 0.0
        self._met: Familiarity | None = None
        self._pages: frozenset[Hashable] = frozenset()

    def update(
        self,
        lesson: TrainingTask,
        cache: PlaneCache,
        screen: VisibleRegion,
        seconds: float,
        stop: threading.Event,
    ) -> Generator[TrainingEvent | Region | Notice, None, Update]:
        """Learn for some seconds and predict what is on screen.

        Parameters
        ----------
        lesson
            What to learn; its checkpoint and config are those of the tutor.
        cache
            Keeps pixels.
        screen
            What is predicted at the end.
        seconds
            Duration; at least one step is taken.
        stop
            Ends after the current step.

        Raises
        ------
        ValueError
            If nothing is painted.
        """
        learned, tested = slices_of(lesson, cache, self._looks)
        yield from self._meet(lesson, cache)
        self._updates += 1
        config = self._config.replace(seed=self._config.seed + self._updates)
        sampler = Sampler(learned, self._start.config.input_channels, self._preprocessing, config)
        now = lesson.adapted_config(self._met or UNFAMILIAR, taught=self._updates > 1)
        if now.pseudo:
            self._learner.prepare(learned, self._preprocessing, now.teacher)
        losses = yield from self._learn(sampler, seconds, now, stop)
        self._looks = lesson.record.looks
        yield from preview_prediction(
            self._learner.averaged,
            screen,
            self._preprocessing,
            self._start.head,
            self._device,
            stop,
        )
        score = self._score(tested, stop)
        return Update(self._checkpoint(score), float(np.mean(losses)), len(losses), score)

    def _meet(self, lesson: TrainingTask, cache: PlaneCache) -> Generator[Notice, None, None]:
        """Ask the opened model about the painted pages, again when there are others."""
        pages = frozenset(lesson.record.pages)
        if lesson.classes < 2 or pages == self._pages:
            return
        first_time, self._pages = self._met is None, pages
        self._met = task_familiarity(lesson, cache)
        if first_time and (told := unfamiliar_message(self._met)):
            yield Notice(told)

    def _learn(
        self, sampler: Sampler, seconds: float, suited_now: TrainingConfig, stop: threading.Event
    ) -> Generator[TrainingEvent, None, list[float]]:
        """Take steps; the learner stays, so what suits now scales its rate and pseudo-labels."""
        share = suited_now.learning_rate / self._config.learning_rate
        ramp = float(suited_now.pseudo > 0)
        ends, losses, step = time.monotonic() + seconds, list[float](), 0
        with retain_freed_memory():
            while not losses or (time.monotonic() < ends and not stop.is_set()):
                loss = self._learner.step(sampler.batch(step), share, self._step, ramp)
                if not np.isfinite(loss):
                    raise ValueError(f"The loss became {loss}; lower the learning rate.")
                losses.append(loss)
                step, self._step = step + 1, self._step + 1
                yield StepEnd(step, 0, loss)
        return losses

    @property
    def _preprocessing(self) -> Preprocessing:
        return self._start.preprocessing

    def _score(self, tested: list[LabeledSlice], stop: threading.Event) -> HeldOut | None:
        began = time.monotonic()
        if not tested or began < self._next_score:
            return None
        head = self._start.head
        scores = validate(self._learner.averaged, tested, self._preprocessing, stop, head)
        now = time.monotonic()
        self._next_score = now + _SCORE_REST * (now - began)
        if len(scores) < len(tested):
            return None
        return HeldOut(mean_dice(pool_scores(scores)), mean_iou(pool_scores(scores)))

    def _checkpoint(self, score: HeldOut | None) -> Checkpoint:
        event = f"updated live {self._updates} time{'s' if self._updates > 1 else ''}"
        dice = None if score is None else score.dice
        weights = copy_weights(self._learner.averaged)
        return trained_checkpoint(self._start, weights, self._config, event, dice)
