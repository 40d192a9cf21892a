"""Floor 4: strokes in, a better network and a fresh prediction out; once, or after each stroke.

What is on screen is predicted while the network learns. Live mode keeps its `Tutor`: the network,
its optimiser and the pixels of painted pages stay ready between two strokes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from napari_emcad.imaging.paint import UNPAINTED
from napari_emcad.inference.devices import choose_device
from napari_emcad.inference.events import InferenceSettings, Notice, Region
from napari_emcad.inference.job import segment_slices
from napari_emcad.painting import lesson_of, pages_of
from napari_emcad.teaching import Taught, painted_slices, taught_checkpoint, teach
from napari_emcad.training.events import HeldOut, StepEnd
from napari_emcad.training.heap import kept_memory
from napari_emcad.training.learner import Learner, copied
from napari_emcad.training.samples import LabelledSlice, Sampler, sized
from napari_emcad.training.validation import (
    evaluating,
    labels,
    mean_dice,
    mean_iou,
    together,
    validate,
)

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.imaging.strokes import Record
    from napari_emcad.io.checkpoint import Checkpoint
    from napari_emcad.jobs import Screen
    from napari_emcad.model.network import Head, PvtEmcad
    from napari_emcad.painting import PageKey, Painted, PlaneCache
    from napari_emcad.training.config import TrainingConfig
    from napari_emcad.training.events import Snapshot, TrainingEvent

_REST = 4.0
"""Between two looks at the screen a training learns at least so many times as long as one took."""

_SHORTEST_REST_S = 2.0
_SCORE_REST = 20.0
"""Between two scores of held-out strokes Live mode learns so many times as long as one took."""

_CAREFUL = 0.05
"""Share of the learning rate while strokes of one class alone are there."""

_FEW = 5
"""Strokes from which the running mean of the weights helps."""

_FAMILIAR = 0.75
"""Share of the first strokes that a model has right of images of a kind that it knows."""

_FIRST_PAGES = 4
"""Painted pages that are looked at for that."""

_TILE = 1024
"""Side of a preview's tiles: what is on screen mostly is one."""


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What is to be learnt.

    Attributes
    ----------
    checkpoint
        What to start from, with the classes that are painted.
    sources
        Pairs of image and annotation.
    record
        What was painted on them, and what of it is held out.
    config
        How to learn.
    device
        Where.
    opened
        The model before anything of the record was learnt; None if `checkpoint` is it.
    """

    checkpoint: Checkpoint
    sources: tuple[Painted, ...]
    record: Record
    config: TrainingConfig
    device: str = "auto"
    opened: Checkpoint | None = None

    @property
    def classes(self) -> int:
        """How many classes are painted, the background among them."""
        return len(lesson_of(self.sources, self.record).painted)


def practise(
    lesson: Lesson, cache: PlaneCache, screen: Screen, stop: threading.Event
) -> Generator[TrainingEvent | Region | Notice, None, Taught]:
    """Fine-tune a private copy on what was painted.

    Parameters
    ----------
    lesson
        What to learn.
    cache
        Keeps pixels for the next lesson.
    screen
        What is predicted now and then, as regions of its image.
    stop
        Ends after the current step; the best so far is returned.

    Raises
    ------
    ValueError
        If nothing is painted.
    """
    learnt, tested = _slices(lesson, cache)
    known = _known(lesson, cache)
    if known < _FAMILIAR:
        yield Notice(_unfamiliar(known))
    strokes, taught = sum(lesson.record.strokes.values()), lesson.opened is not None
    config = suited(lesson.config, lesson.classes, strokes, known, taught)
    config = config.changed(validate_every=_validated_every(config, learnt, tested, lesson))
    watch = _Watch(lesson.checkpoint, screen, lesson.device, stop)
    return (
        yield from teach(
            lesson.checkpoint, learnt, tested, config, stop, lesson.device, watch=watch
        )
    )


def suited(
    config: TrainingConfig, classes: int, strokes: int, known: float = 0.0, taught: bool = False
) -> TrainingConfig:
    """Return how to learn from so many classes and strokes.

    Whoever has seen strokes of one class alone is right to find it everywhere: until a second one
    is painted the network stays near its start. A model that knows such images has unpainted pixels
    right; of others a linear probe does. Once a model has learnt from it, both have to agree: later
    strokes go where something is wrong and may lead a probe astray (figures in docs/benchmarks.md).

    Parameters
    ----------
    config
        What was asked for.
    classes, strokes
        How many are painted.
    known
        Share of the first strokes that the opened model has right; see `familiar`.
    taught
        Whether the model has learnt from such strokes before.
    """
    if classes < 2:
        return config.changed(learning_rate=_CAREFUL * config.learning_rate, pseudo=0.0)
    if config.teacher == "probe" and known >= _FAMILIAR:
        config = config.changed(teacher="start")
    elif config.teacher == "probe" and taught and strokes >= _FEW:
        config = config.changed(teacher="agreed")
    if strokes < _FEW:
        pseudo = 0.0 if config.teacher == "mean" else config.pseudo
        config = config.changed(pseudo=pseudo, ema=0.0)
    return config


def familiar(opened: Checkpoint, first: Iterable[LabelledSlice], device: str = "auto") -> float:
    """Return how well a model knows such images: its share of their first strokes, 0 … 1.

    The first strokes of each class say it best: later ones are where a model is wrong. Classes
    count alike.

    Parameters
    ----------
    opened
        The model before anything was learnt.
    first
        Slices painted with the first strokes alone; see `Record.first`.
    device
        Where.
    """
    network = opened.network().to(choose_device(device)).eval()
    right: dict[int, list[float]] = {}
    for each in first:
        found = labels(network, each, opened.preprocessing, opened.head)
        for k in set(np.unique(each.target).tolist()) - {UNPAINTED}:
            right.setdefault(k, []).append(float((found == k)[each.target == k].mean()))
    return float(np.mean([np.mean(each) for each in right.values()])) if right else 0.0


def _known(lesson: Lesson, cache: PlaneCache) -> float:
    """Return how well the opened model knows the images; 1 where nothing depends on it."""
    if not lesson.config.pseudo or lesson.config.teacher != "probe" or lesson.classes < 2:
        return 1.0
    opened = lesson.opened or lesson.checkpoint
    if opened.config.input_channels != lesson.checkpoint.config.input_channels:
        opened = lesson.checkpoint
    first = _first_slices(replace(lesson, checkpoint=opened), cache)
    return familiar(opened, first, lesson.device)


def _first_slices(lesson: Lesson, cache: PlaneCache) -> Iterator[LabelledSlice]:
    record = lesson_of(lesson.sources, lesson.record)
    first = dict(list(record.first().items())[:_FIRST_PAGES])
    preprocessing = lesson.checkpoint.preprocessing
    keys = [key for key in pages_of(lesson.sources, record) if key in first]
    planes = cache.planes(lesson.sources, keys, preprocessing)
    sizes = {} if preprocessing.size is None else _sizes(lesson, preprocessing.size)
    for key in keys:
        yield sized(LabelledSlice(str(key), planes[key], first[key]), sizes.get(key))


def _unfamiliar(known: float) -> str:
    return (
        f"The model had {known:.0%} of your first strokes right, so it takes these images for a "
        "new kind: it also learns unpainted pixels that look like painted ones."
    )


def _validated_every(
    config: TrainingConfig,
    learnt: Sequence[LabelledSlice],
    tested: Sequence[LabelledSlice],
    lesson: Lesson,
) -> int:
    """Return after how many epochs to validate, so that it takes no longer than to learn."""
    zoom = lesson.checkpoint.preprocessing.zoom
    crops = config.crops_per_epoch or len(learnt)
    judged = sum(each.target.size for each in tested) * zoom**2
    return max(config.validate_every, ceil(judged / (crops * config.crop**2)))


def unfinished(lesson: Lesson, snapshot: Snapshot) -> Checkpoint:
    """Return the model of a training that still runs, for the case that it never ends."""
    state = snapshot.state
    weights = state["best"] or state["ema"] or state["network"]
    best = max(state["best_dice"], 0.0) if state["best"] else None
    return taught_checkpoint(
        lesson.checkpoint,
        weights,
        lesson.config,
        "recovered from an unfinished training",
        best,
        len(state["epochs"]),
    )


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


class Tutor:
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
        self._learner = Learner(network, config)
        self._step, self._updates, self._looks = 0, 0, 0
        self._next_score = 0.0
        self._known: float | None = None

    def update(
        self,
        lesson: Lesson,
        cache: PlaneCache,
        screen: Screen,
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
            At least one step is taken; what is learnt of few strokes, see `suited`.
        stop
            Ends after the current step.

        Raises
        ------
        ValueError
            If nothing is painted.
        """
        learnt, tested = _slices(lesson, cache, self._looks)
        if self._known is None and lesson.classes > 1:
            self._known = _known(lesson, cache)
            if self._known < _FAMILIAR:
                yield Notice(_unfamiliar(self._known))
        self._updates += 1
        config = self._config.changed(seed=self._config.seed + self._updates)
        sampler = Sampler(learnt, self._start.config.input_channels, self._preprocessing, config)
        strokes = sum(lesson.record.strokes.values())
        taught = lesson.opened is not None or self._updates > 1
        now = suited(config, lesson.classes, strokes, self._known or 0.0, taught)
        if now.pseudo:
            self._learner.begin(learnt, self._preprocessing, now.teacher)
        losses = yield from self._learn(sampler, seconds, now, stop)
        self._looks = lesson.record.looks
        yield from draft(
            self._learner.kept, screen, self._preprocessing, self._start.head, self._device, stop
        )
        score = self._score(tested, stop)
        return Update(self._checkpoint(score), float(np.mean(losses)), len(losses), score)

    def _learn(
        self, sampler: Sampler, seconds: float, suited_now: TrainingConfig, stop: threading.Event
    ) -> Generator[TrainingEvent, None, list[float]]:
        """Take steps; the learner stays, so what suits now scales its rate and pseudo-labels."""
        share = suited_now.learning_rate / self._config.learning_rate
        ramp = float(suited_now.pseudo > 0)
        ends, losses, step = time.monotonic() + seconds, list[float](), 0
        with kept_memory():
            while not losses or (time.monotonic() < ends and not stop.is_set()):
                loss = self._learner.learn(sampler.batch(step), share, self._step, ramp)
                if not np.isfinite(loss):
                    raise ValueError(f"The loss became {loss}; lower the learning rate.")
                losses.append(loss)
                step, self._step = step + 1, self._step + 1
                yield StepEnd(step, 0, loss)
        return losses

    @property
    def _preprocessing(self) -> Preprocessing:
        return self._start.preprocessing

    def _score(self, tested: list[LabelledSlice], stop: threading.Event) -> HeldOut | None:
        began = time.monotonic()
        if not tested or began < self._next_score:
            return None
        head = self._start.head
        scores = validate(self._learner.kept, tested, self._preprocessing, stop, head)
        now = time.monotonic()
        self._next_score = now + _SCORE_REST * (now - began)
        if len(scores) < len(tested):
            return None
        return HeldOut(mean_dice(together(scores)), mean_iou(together(scores)))

    def _checkpoint(self, score: HeldOut | None) -> Checkpoint:
        event = f"updated live {self._updates} time{'s' if self._updates > 1 else ''}"
        dice = None if score is None else score.dice
        weights = copied(self._learner.kept)
        return taught_checkpoint(self._start, weights, self._config, event, dice)


def draft(
    network: PvtEmcad,
    screen: Screen,
    preprocessing: Preprocessing,
    head: Head,
    device: str,
    stop: threading.Event,
) -> Iterator[Region]:
    """Yield a quick prediction of what is on screen."""
    slices = screen.slices
    if slices is None:
        return
    settings = InferenceSettings(device=device, tile=_TILE, batch=1, draft=True)
    with evaluating(network):
        for event in segment_slices(network, slices, preprocessing, head, settings, stop):
            if isinstance(event, Region):
                yield event


class _Watch:
    """Looks at the screen now and then, never so often that training slows down much."""

    def __init__(
        self, checkpoint: Checkpoint, screen: Screen, device: str, stop: threading.Event
    ) -> None:
        self._preprocessing, self._head = checkpoint.preprocessing, checkpoint.head
        self._screen, self._device, self._stop = screen, device, stop
        self._next = time.monotonic() + _SHORTEST_REST_S

    def __call__(self, network: PvtEmcad) -> Iterator[Region]:
        began = time.monotonic()
        if began < self._next:
            return
        yield from draft(
            network, self._screen, self._preprocessing, self._head, self._device, self._stop
        )
        now = time.monotonic()
        self._next = now + max(_REST * (now - began), _SHORTEST_REST_S)


def _slices(
    lesson: Lesson, cache: PlaneCache, since: int | None = None
) -> tuple[list[LabelledSlice], list[LabelledSlice]]:
    """Return what is learnt and what is held out, as the network sees it."""
    preprocessing = lesson.checkpoint.preprocessing
    record = lesson_of(lesson.sources, lesson.record)
    planes = cache.planes(lesson.sources, pages_of(lesson.sources, record), preprocessing)
    sizes = None if preprocessing.size is None else _sizes(lesson, preprocessing.size)
    return painted_slices(record, planes, since, sizes)


def _sizes(lesson: Lesson, size: tuple[int, int]) -> dict[PageKey, tuple[int, int]]:
    """Return what pages become when their slices are resized: a part of a slice that part of it."""
    whole = {each.key: (each.slices.height, each.slices.width) for each in lesson.sources}
    found = {}
    for key in pages_of(lesson.sources, lesson.record):
        ranges = zip((key.rows, key.columns), whole[key.source], size, strict=True)
        height, width = (max(round(n * (b - a) / side), 1) for (a, b), side, n in ranges)
        found[key] = height, width
    return found
