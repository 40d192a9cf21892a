"""Live mode: a network that learns each stroke as it is painted.

Network, optimizer and pixels of annotated patches are kept from one stroke to the next.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_emcad.inference.devices import choose_device
from napari_emcad.interactive.familiarity import UNFAMILIAR, adapted_config
from napari_emcad.interactive.initial_weights import suited_task
from napari_emcad.interactive.instant import InstantTrainer
from napari_emcad.interactive.instant_events import Shown
from napari_emcad.interactive.preview import predict_visible
from napari_emcad.interactive.samples import read_planes
from napari_emcad.interactive.task import range_notice
from napari_emcad.pipelines.train import probe_extractor, trained_checkpoint
from napari_emcad.training.allocator import retain_freed_memory
from napari_emcad.training.events import HeldOut, StepEnd
from napari_emcad.training.sampler import Sampler
from napari_emcad.training.trainer import Trainer, copy_weights
from napari_emcad.training.validation import mean_dice, mean_iou, pool_by_image, validate

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator, Hashable, Iterator

    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.inference.events import Notice, Region
    from napari_emcad.interactive.familiarity import Familiarity
    from napari_emcad.interactive.plane_cache import PlaneCache
    from napari_emcad.interactive.task import TrainingTask
    from napari_emcad.interactive.visible_region import VisibleRegion
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.io.checkpoints.instant_model import InstantModel
    from napari_emcad.training.config import TrainingConfig
    from napari_emcad.training.events import TrainingEvent
    from napari_emcad.training.samples import LabeledSlice

_SCORE_PAUSE_FACTOR = 20.0
"""Time between two scores of held-out pixels, as a multiple of the duration of scoring."""


@dataclass(frozen=True, slots=True, eq=False)
class LiveUpdate:
    """Result of an update in Live mode.

    Attributes
    ----------
    checkpoint
        The model after the update.
    base
        The model before it learned anything of the annotations.
    loss
        Mean loss of its steps.
    steps
        Number of steps.
    score
        Score on held-out pixels; None if there are none or the last score is recent.
    """

    checkpoint: Checkpoint
    base: Checkpoint
    loss: float
    steps: int
    score: HeldOut | None


class LiveTrainer:
    """A network that is trained stroke by stroke.

    Parameters
    ----------
    task
        Training task with the checkpoint to start from and the configuration, whose learning rate
        stays constant. If the task is automatic, the trainer starts from the general network as
        soon as the bundled model turns out not to know the images.
    clock
        Returns seconds.
    """

    def __init__(self, task: TrainingTask, clock: Callable[[], float] = time.monotonic) -> None:
        self._device, self._clock = task.device, clock
        self._start_from(task)
        self._updates, self._scans = 0, 0
        self._next_score = 0.0
        self._familiarity: Familiarity | None = None
        self._patches: frozenset[Hashable] = frozenset()
        self._instant: InstantTrainer | None = None
        self._instant_dice: float | None = None
        self._shown: InstantModel | None = None

    def _start_from(self, task: TrainingTask) -> None:
        """Train the network of a task from its first step."""
        self._start, self._config = task.checkpoint, task.config
        self._base = task.base or task.checkpoint
        self._dice: float | None = None
        network = task.checkpoint.network().to(choose_device(self._device))
        self._trainer, self._step = Trainer(network, task.config, probe_extractor(task.config)), 0

    @property
    def shown_instant(self) -> InstantModel | None:
        """The instant model whose prediction is shown; None if the network's is."""
        return self._shown

    def update(
        self,
        task: TrainingTask,
        cache: PlaneCache,
        visible: VisibleRegion,
        seconds: float,
        stop: threading.Event,
    ) -> Generator[TrainingEvent | Region | Notice | Shown, None, LiveUpdate]:
        """Train for some seconds, then predict the visible part.

        Images that the model does not know are predicted by an instant model first, until the
        network is better on held-out strokes. `Shown` says which of them is shown.

        Parameters
        ----------
        task
            Training task with the checkpoint and configuration of this trainer.
        cache
            Holds pixels of annotated patches.
        visible
            Visible part of an image; `Region` events of its prediction are yielded.
        seconds
            Duration of the training; at least one step is taken.
        stop
            Ends the training after the current step.

        Raises
        ------
        ValueError
            If nothing is annotated.
        """
        if not self._updates and (notice := range_notice(task)):
            yield notice
        yield from self._suit_start(task, cache)
        training, held_out = read_planes(task, cache, self._preprocessing).split(self._scans)
        instant = yield from self._show_instant(task, visible, stop)
        self._updates += 1
        config = self._config.replace(seed=self._config.seed + self._updates)
        sampler = Sampler(training, self._start.config.input_channels, self._preprocessing, config)
        adapted = self._adapted_config(task)
        if adapted.pseudo:
            self._trainer.prepare(training, self._preprocessing, adapted.teacher)
        losses = yield from self._train(sampler, seconds, adapted, stop)
        self._scans = task.record.scans
        score = self._score(held_out, stop)
        if instant is not None and score is not None:
            self._instant_dice = self._instant_score(instant, task, stop)
        yield from self._show_model(instant, visible, stop)
        loss = float(np.mean(losses))
        return LiveUpdate(self._checkpoint(score), self._base, loss, len(losses), score)

    def _suit_start(self, task: TrainingTask, cache: PlaneCache) -> Iterator[Notice]:
        """Measure the familiarity of the base model whenever other patches are annotated.

        The network is replaced if another start suits the images; see `suited_task`.
        """
        patches = frozenset(task.record.patches)
        if task.classes < 2 or patches == self._patches:
            return
        first_time, self._patches = self._familiarity is None, patches
        suited = yield from suited_task(task, cache, quiet=not first_time)
        self._familiarity = suited.familiarity
        if suited.checkpoint is not task.checkpoint:
            self._start_from(suited)

    def _show_instant(
        self, task: TrainingTask, visible: VisibleRegion, stop: threading.Event
    ) -> Generator[Region | Shown, None, InstantModel | None]:
        """Fit an instant model if the images are new to the base model, and show it if due."""
        if self._familiarity is None or self._familiarity.is_familiar:
            return None
        self._instant = self._instant or InstantTrainer(self._device)
        model = self._instant.fit(task, first=True)
        if model is not None and not self._model_is_better:
            self._shown = model
            yield Shown("instant", self._comparison())
            yield from self._instant.predict(model, visible, stop)
        return model

    def _show_model(
        self, instant: InstantModel | None, visible: VisibleRegion, stop: threading.Event
    ) -> Iterator[Region | Shown]:
        """Show the network's prediction unless the instant model's is shown."""
        if instant is not None and not self._model_is_better:
            return
        self._shown = None
        yield Shown("model", self._comparison())
        yield from self._predict(visible, stop)

    def _predict(self, visible: VisibleRegion, stop: threading.Event) -> Iterator[Region]:
        network, start = self._trainer.averaged, self._start
        return predict_visible(
            network, visible, start.preprocessing, start.head, self._device, stop
        )

    @property
    def _model_is_better(self) -> bool:
        """Whether the network is better than the instant model on held-out strokes."""
        if self._dice is None or self._instant_dice is None:
            return False
        return self._dice > self._instant_dice

    def _comparison(self) -> str:
        """Return why a prediction is shown, as the end of a sentence; "" if there was no choice."""
        if self._dice is None or self._instant_dice is None:
            return "" if self._instant is None else "No held-out stroke yet to compare with."
        return (
            f"Dice on held-out strokes {self._instant_dice:.2f} of Instant, "
            f"{self._dice:.2f} of the model."
        )

    def _instant_score(
        self, instant: InstantModel, task: TrainingTask, stop: threading.Event
    ) -> float | None:
        assert self._instant is not None
        dice = self._instant.score(instant, task, stop)
        return self._instant_dice if dice is None else dice

    def _adapted_config(self, task: TrainingTask) -> TrainingConfig:
        trained_before = self._updates > 1 or task.base is not None
        familiarity = self._familiarity or UNFAMILIAR
        return adapted_config(self._config, task.classes, task.strokes, familiarity, trained_before)

    def _train(
        self, sampler: Sampler, seconds: float, adapted: TrainingConfig, stop: threading.Event
    ) -> Generator[TrainingEvent, None, list[float]]:
        """Take steps and return their losses.

        The trainer keeps its own configuration, so the adapted one scales its learning rate and
        switches pseudo-labels on or off.
        """
        rate_factor = adapted.learning_rate / self._config.learning_rate
        pseudo_factor = float(adapted.pseudo > 0)
        end, losses, step = self._clock() + seconds, list[float](), 0
        with retain_freed_memory():
            while not losses or (self._clock() < end and not stop.is_set()):
                batch = sampler.batch(step)
                loss = self._trainer.step(batch, rate_factor, self._step, pseudo_factor)
                if not np.isfinite(loss):
                    raise ValueError(f"The loss became {loss}; lower the learning rate.")
                losses.append(loss)
                step, self._step = step + 1, self._step + 1
                yield StepEnd(step, 0, loss)
        return losses

    @property
    def _preprocessing(self) -> Preprocessing:
        return self._start.preprocessing

    def _score(self, held_out: list[LabeledSlice], stop: threading.Event) -> HeldOut | None:
        start = self._clock()
        if not held_out or start < self._next_score:
            return None
        head = self._start.head
        scores = validate(self._trainer.averaged, held_out, self._preprocessing, stop, head)
        end = self._clock()
        self._next_score = end + _SCORE_PAUSE_FACTOR * (end - start)
        if len(scores) < len(held_out):
            return None
        images = pool_by_image(scores, held_out)
        self._dice = mean_dice(images)
        return HeldOut(self._dice, mean_iou(images))

    def _checkpoint(self, score: HeldOut | None) -> Checkpoint:
        event = f"updated live {self._updates} time{'s' if self._updates > 1 else ''}"
        dice = None if score is None else score.dice
        weights = copy_weights(self._trainer.averaged)
        return trained_checkpoint(self._start, weights, self._config, event, dice)
