"""The training loop: steps, epochs, validation and snapshots."""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from napari_emcad.training.allocator import retain_freed_memory
from napari_emcad.training.events import (
    Ending,
    EpochEnd,
    HeldOut,
    Snapshot,
    StepEnd,
    Trained,
    TrainingEvent,
)
from napari_emcad.training.processes import (
    any_process,
    process_count,
    process_rank,
    with_whole_batch,
)
from napari_emcad.training.sampler import Sampler
from napari_emcad.training.trainer import copy_weights
from napari_emcad.training.validation import mean_dice, mean_iou, pool_by_image, validate

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator, Mapping, Sequence

    from torch import Tensor

    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.model.segmenter import Head
    from napari_emcad.training.config import TrainingConfig
    from napari_emcad.training.samples import Batch, LabeledSlice
    from napari_emcad.training.trainer import Trainer

    State = dict[str, Any]

_SNAPSHOT_S = 20.0
"""Seconds between two snapshots."""


def train(
    trainer: Trainer,
    slices: Sequence[LabeledSlice],
    held_out: Sequence[LabeledSlice],
    preprocessing: Preprocessing,
    head: Head,
    stop: threading.Event,
    state: State | None = None,
) -> Generator[TrainingEvent, None, Trained]:
    """Train a network, yielding an event per step, epoch and snapshot.

    Parameters
    ----------
    trainer
        Trainer of a private copy of the network, because the network is changed.
    slices, held_out
        Slices to train on, and slices to select the best epoch with.
    preprocessing, head
        Those of the checkpoint.
    stop
        Set it to end after the current step; the best network so far is returned.
    state
        State of a `Snapshot` to resume from; the finished network equals that of an uninterrupted
        run.

    Raises
    ------
    ValueError
        If there is nothing to train on.
    """
    inputs, config = trainer.network.config.input_channels, trainer.config
    part = (process_rank(), process_count())
    sampler = Sampler(slices, inputs, preprocessing, with_whole_batch(config), part)
    run = _Run(trainer, config, sampler.steps_per_epoch)
    if state is not None:
        run.restore(state)

    def score() -> HeldOut | None:
        return _score_held_out(run, held_out, preprocessing, head, stop)

    teacher_weights = None if state is None else state.get("before")
    trainer.prepare(slices, preprocessing, teacher_weights=teacher_weights)
    with retain_freed_memory():
        return (yield from _steps(run, sampler, score, stop))


def _steps(
    run: _Run, sampler: Sampler, score: Callable[[], HeldOut | None], stop: threading.Event
) -> Generator[TrainingEvent, None, Trained]:
    """Take one step after another; an epoch ends once its held-out score is known."""
    began = time.monotonic() - run.seconds
    saved = time.monotonic()
    while not run.finished:
        if not run.epoch_is_due:  # it is due at once if a training was stopped before its score
            batch = sampler.batch(run.step)
            loss = run.take_step(batch)
            if not math.isfinite(loss):
                return run.result("diverged", _divergence(loss, run.step + 1, batch.names))
            yield StepEnd(run.step, run.total, loss)
        stopped = any_process(stop.is_set(), run.trainer.device)
        if run.epoch_is_due and not stopped:
            held_out = score()
            stopped = any_process(stop.is_set(), run.trainer.device)
            if not stopped:
                yield run.end_epoch(held_out, time.monotonic() - began)
        if stopped or run.finished or time.monotonic() - saved > _SNAPSHOT_S:
            run.seconds = time.monotonic() - began
            yield Snapshot(run.state())
            saved = time.monotonic()
        if stopped:
            return run.result("stopped")
    return run.result("finished")


def _divergence(loss: float, step: int, names: Sequence[str]) -> str:
    return f"The loss was {loss} in step {step}, on {', '.join(sorted(set(names)))}."


def _score_held_out(
    run: _Run,
    held_out: Sequence[LabeledSlice],
    preprocessing: Preprocessing,
    head: Head,
    stop: threading.Event,
) -> HeldOut | None:
    """Return the mean scores of the held-out images.

    None if there are no such slices, `validate_every` skips this epoch, or the job was stopped.
    """
    due = run.epoch % run.config.validate_every == 0 or run.step == run.total
    if not held_out or not due:
        return None
    scores = validate(run.trainer.averaged, held_out, preprocessing, stop, head)
    if len(scores) < len(held_out):
        return None
    images = pool_by_image(scores, held_out)
    return HeldOut(mean_dice(images), mean_iou(images))


class _Run:
    """The state of a training: its step, its epochs, and its best network so far."""

    def __init__(self, trainer: Trainer, config: TrainingConfig, steps_per_epoch: int) -> None:
        self.trainer, self.config = trainer, config
        self.step, self.total = 0, config.epochs * steps_per_epoch
        self.seconds = 0.0
        self._steps_per_epoch = steps_per_epoch
        self._best: dict[str, Tensor] | None = None
        self._best_dice = -1.0
        self._finite = copy_weights(trainer.averaged)
        self._losses: list[float] = []
        self._epochs: list[EpochEnd] = []

    @property
    def epoch(self) -> int:
        """Number of complete epochs."""
        return self.step // self._steps_per_epoch

    @property
    def epoch_is_due(self) -> bool:
        """Whether the last step completed an epoch that has not ended yet."""
        return self.step % self._steps_per_epoch == 0 and len(self._epochs) < self.epoch

    @property
    def finished(self) -> bool:
        """Whether all steps are taken and all epochs have ended."""
        return self.step == self.total and not self.epoch_is_due

    def take_step(self, batch: Batch) -> float:
        """Take one step and return its loss; none is taken if the loss is not finite."""
        share = schedule(self.step, self.total, self.config)
        seed = hash((self.config.seed, self.step)) % 2**63
        ramp = min(3 * self.step / self.total, 1) if self.config.teacher == "ema" else 1
        loss = self.trainer.step(batch, share, seed, ramp)
        if math.isfinite(loss):
            self.step += 1
            self._losses.append(loss)
        return loss

    def end_epoch(self, score: HeldOut | None, seconds: float) -> EpochEnd:
        """Record an epoch, and keep its network if it is the best."""
        weights = copy_weights(self.trainer.averaged)
        self._finite = weights if _all_finite(weights) else self._finite
        dice, iou = (None, None) if score is None else (score.dice, score.iou)
        best = dice is not None and dice > self._best_dice and self._finite is weights
        if best and dice is not None:
            self._best_dice, self._best = dice, weights
        mean = sum(self._losses) / max(len(self._losses), 1)
        rate = self.trainer.learning_rate
        end = EpochEnd(self.epoch, self.config.epochs, mean, rate, dice, best, seconds, iou)
        self._losses = []
        self._epochs.append(end)
        return end

    def result(self, ending: Ending, remark: str = "") -> Trained:
        """Return the result; after a divergence, with the last epoch's finite network."""
        weights = copy_weights(self.trainer.averaged)
        last = self._finite if ending == "diverged" or not _all_finite(weights) else weights
        best = last if self._best is None else self._best
        return Trained(best, tuple(self._epochs), ending, remark)

    def state(self) -> State:
        """Return everything that `restore` needs."""
        return {
            **self.trainer.state(),
            "step": self.step,
            "seconds": self.seconds,
            "best": self._best,
            "best_dice": self._best_dice,
            "losses": list(self._losses),
            "epochs": [asdict(epoch) for epoch in self._epochs],
        }

    def restore(self, state: State) -> None:
        """Continue from a state."""
        self.trainer.restore(state)
        self._finite = copy_weights(self.trainer.averaged)
        self.step, self.seconds = state["step"], state["seconds"]
        self._best, self._best_dice = state["best"], state["best_dice"]
        self._losses = list(state["losses"])
        self._epochs = [EpochEnd(**epoch) for epoch in state["epochs"]]


def _all_finite(weights: Mapping[str, Tensor]) -> bool:
    return all(bool(tensor.isfinite().all()) for tensor in weights.values())


def schedule(step: int, total: int, config: TrainingConfig) -> float:
    """Return the factor on the learning rate: linear warm-up, then a cosine or a constant."""
    rising = config.warm_up * total
    if step < rising:
        return (step + 1) / max(rising, 1)
    if not config.cosine:
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(total - rising, 1)))
