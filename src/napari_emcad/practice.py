"""Floor 4: strokes in, a better network and a fresh prediction out.

What is on screen is predicted while the network learns.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_emcad.inference.events import InferenceSettings, Notice, Region
from napari_emcad.inference.job import NotFinite, segment_slices
from napari_emcad.painting import lesson_of, pages_of
from napari_emcad.suiting import FRIENDS, acquaintance, new_kind, suited, validated_every
from napari_emcad.teaching import Taught, painted_slices, taught_checkpoint, teach
from napari_emcad.training.samples import LabelledSlice, sized
from napari_emcad.training.validation import evaluating

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.imaging.strokes import Record
    from napari_emcad.io.checkpoint import Checkpoint
    from napari_emcad.jobs import Screen
    from napari_emcad.model.network import Head, PvtEmcad
    from napari_emcad.painting import PageKey, Painted, PlaneCache
    from napari_emcad.suiting import Acquaintance
    from napari_emcad.training.config import TrainingConfig
    from napari_emcad.training.events import Snapshot, TrainingEvent

_REST = 4.0
"""Between two looks at the screen a training learns at least so many times as long as one took."""

_SHORTEST_REST_S = 2.0

_PAGES = 4
"""Painted pages that the opened model is asked about, with first strokes and without."""

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

    def suited(self, met: Acquaintance, taught: bool = False) -> TrainingConfig:
        """Return how to learn from what is painted; see `suiting.suited`.

        Parameters
        ----------
        met
            How well the opened model knows the images.
        taught
            Whether the network has learnt from it although `opened` is None.
        """
        strokes, taught = sum(self.record.strokes.values()), taught or self.opened is not None
        return suited(self.config, self.classes, strokes, met, taught)


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
    learnt, tested = slices_of(lesson, cache)
    met = met_before(lesson, cache)
    if told := new_kind(met):
        yield Notice(told)
    config = lesson.suited(met)
    zoom = lesson.checkpoint.preprocessing.zoom
    config = config.changed(validate_every=validated_every(config, learnt, tested, zoom))
    watch = _Watch(lesson.checkpoint, screen, lesson.device, stop)
    return (
        yield from teach(
            lesson.checkpoint, learnt, tested, config, stop, lesson.device, watch=watch
        )
    )


def met_before(lesson: Lesson, cache: PlaneCache) -> Acquaintance:
    """Return how well the opened model knows the images; well where nothing depends on it."""
    if not lesson.config.pseudo or lesson.config.teacher != "probe" or lesson.classes < 2:
        return FRIENDS
    opened = lesson.opened or lesson.checkpoint
    if opened.config.input_channels != lesson.checkpoint.config.input_channels:
        opened = lesson.checkpoint
    lesson = replace(lesson, checkpoint=opened)
    record = lesson_of(lesson.sources, lesson.record)
    first = record.first()
    pages = [key for key in pages_of(lesson.sources, record) if key in record.pages]
    others = {key: record.pages[key].target for key in pages if key not in first}
    return acquaintance(
        opened,
        tuple(_slices(lesson, first, cache)),
        tuple(_slices(lesson, others, cache)),
        lesson.config,
        lesson.device,
    )


def _slices(
    lesson: Lesson, targets: Mapping[Any, NDArray[np.integer]], cache: PlaneCache
) -> Iterator[LabelledSlice]:
    """Return some of these pages with these targets, as the network sees them."""
    preprocessing = lesson.checkpoint.preprocessing
    keys = [key for key in pages_of(lesson.sources, lesson.record) if key in targets][:_PAGES]
    planes = cache.planes(lesson.sources, keys, preprocessing)
    sizes = {} if preprocessing.size is None else _sizes(lesson, preprocessing.size)
    for key in keys:
        yield sized(LabelledSlice(str(key), planes[key], targets[key]), sizes.get(key))


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
        with suppress(NotFinite):  # the training itself ends when its loss is not finite
            yield from draft(
                network, self._screen, self._preprocessing, self._head, self._device, self._stop
            )
        now = time.monotonic()
        self._next = now + max(_REST * (now - began), _SHORTEST_REST_S)


def slices_of(
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
