"""How to learn from so many strokes, and whether a model knows such images already."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.inference.devices import choose_device
from napari_emcad.interactive.annotated_patches import merged_record, patches_of
from napari_emcad.interactive.samples import _slices
from napari_emcad.training.pseudo_labels import PseudoLabelTeacher, split_by_annotation
from napari_emcad.training.validation import predict_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_emcad.interactive.plane_cache import PlaneCache
    from napari_emcad.interactive.task import TrainingTask
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.training.config import TrainingConfig
    from napari_emcad.training.samples import LabeledSlice

_CAREFUL = 0.05
"""Share of the learning rate while strokes of one class alone are there."""

_FEW = 5
"""Strokes from which the running mean of the weights helps."""

_FAMILIAR = 0.9
"""Share of the first strokes that a model has right of images of a kind that it knows."""

_OF_ONE_MIND = 0.5
"""Dice between model and probe from which they say the same of a page."""


@dataclass(frozen=True, slots=True)
class Familiarity:
    """How well a model knows images, by what it says of their first strokes; all 0 … 1.

    Attributes
    ----------
    right
        Share of these strokes that it has right; classes count alike.
    agreed
        Dice between what it says of their pages and what a probe on the strokes does.
    elsewhere
        The same on that of the other painted pages where it is least.
    """

    right: float = 0.0
    agreed: float = 0.0
    elsewhere: float = 1.0

    @property
    def known(self) -> bool:
        """Whether these are images of a kind that the model knows."""
        return self.right >= _FAMILIAR

    @property
    def mixed(self) -> bool:
        """Whether some pages are strange to a model that has the first strokes right.

        Where a probe says the same as the model it makes sense; what it says of other pages is then
        worth more than that of a model which agrees no longer.
        """
        return self.known and self.agreed >= _OF_ONE_MIND > self.elsewhere


UNFAMILIAR, FAMILIAR = Familiarity(), Familiarity(1.0)
"""Of a model that knows nothing of the images, and of one that knows them well."""


def adapted_config(
    config: TrainingConfig,
    classes: int,
    strokes: int,
    met: Familiarity = UNFAMILIAR,
    taught: bool = False,
) -> TrainingConfig:
    """Return how to learn from so many classes and strokes.

    Whoever has seen strokes of one class alone is right to find it everywhere: until a second one
    is painted the network stays near its start. A model that knows such images has unpainted pixels
    right; of others a linear probe does. Once a model has learned from it, both must agree: later
    strokes go where something is wrong and may lead a probe astray. So they have to where a model
    knows some of the images alone (figures in docs/benchmarks.md).

    Parameters
    ----------
    config
        What was asked for.
    classes, strokes
        How many are painted.
    met
        How well the opened model knows the images; see `measure_familiarity`.
    taught
        Whether the model has learned from such strokes before.
    """
    if classes < 2:
        return config.replace(learning_rate=_CAREFUL * config.learning_rate, pseudo=0.0)
    if config.teacher == "probe":
        learned_before = taught and strokes >= _FEW
        if met.known and not (met.mixed and learned_before):
            config = config.replace(teacher="initial")
        elif learned_before:
            config = config.replace(teacher="consensus")
    if strokes < _FEW:
        pseudo = 0.0 if config.teacher == "ema" else config.pseudo
        config = config.replace(pseudo=pseudo, ema=0.0)
    return config


def measure_familiarity(
    opened: Checkpoint,
    first: Sequence[LabeledSlice],
    others: Sequence[LabeledSlice],
    config: TrainingConfig,
    device: str = "auto",
) -> Familiarity:
    """Return how well a model knows such images.

    The first strokes of each class say it best: later ones are where a model is wrong.

    Parameters
    ----------
    opened
        The model before anything was learned.
    first
        Slices painted with the first strokes alone; see `Record.first`.
    others
        Other painted slices.
    config
        How the network will learn.
    device
        Where.
    """
    network = opened.network().to(choose_device(device)).eval()
    classes = 1 + max((int(each.target.max(initial=0)) for each in first), default=0)
    right, painted = np.zeros(classes), np.zeros(classes)
    for each in split_by_annotation(first, opened.preprocessing)[0]:
        found = predict_labels(network, each, opened.preprocessing, opened.head)
        for k in set(np.unique(each.target).tolist()) - {UNLABELED}:
            right[k] += np.count_nonzero((found == k) & (each.target == k))
            painted[k] += np.count_nonzero(each.target == k)
    there = painted > 0
    share = float((right[there] / painted[there]).mean()) if there.any() else 0.0
    if share < _FAMILIAR or classes > max(opened.config.num_classes, 2):
        return Familiarity(share)
    before = PseudoLabelTeacher(network, config.supervision, "probe")
    before.fit(first, opened.preprocessing)
    agreed = before.agreement(first, opened.preprocessing)
    pages = others if agreed >= _OF_ONE_MIND else ()
    elsewhere = [before.agreement([each], opened.preprocessing) for each in pages]
    return Familiarity(share, agreed, min(elsewhere, default=1.0))


def unfamiliar_message(met: Familiarity) -> str:
    """Return a sentence if a model does not know the images, else ""."""
    if met.known:
        return ""
    return (
        f"The model had only {met.right:.0%} of your first strokes right, so it takes these images "
        "for a new kind: it also learns unpainted pixels that look like painted ones."
    )


def validated_every(
    config: TrainingConfig,
    learned: Sequence[LabeledSlice],
    tested: Sequence[LabeledSlice],
    zoom: float,
) -> int:
    """Return after how many epochs to validate, so that it takes no longer than to learn.

    Parameters
    ----------
    config
        How to learn.
    learned, tested
        What is learned, and what is held out.
    zoom
        Of the checkpoint's preprocessing.
    """
    crops = config.crops_per_epoch or len(learned)
    judged = sum(each.target.size for each in tested) * zoom**2
    return max(config.validate_every, ceil(judged / (crops * config.crop**2)))


def task_familiarity(lesson: TrainingTask, cache: PlaneCache) -> Familiarity:
    """Return how well the opened model knows the images; well where nothing depends on it."""
    if not lesson.config.pseudo or lesson.config.teacher != "probe" or lesson.classes < 2:
        return FAMILIAR
    opened = lesson.opened or lesson.checkpoint
    if opened.config.input_channels != lesson.checkpoint.config.input_channels:
        opened = lesson.checkpoint
    lesson = replace(lesson, checkpoint=opened)
    record = merged_record(lesson.sources, lesson.record)
    first = record.first()
    pages = [key for key in patches_of(lesson.sources, record) if key in record.pages]
    others = {key: record.pages[key].target for key in pages if key not in first}
    return measure_familiarity(
        opened,
        tuple(_slices(lesson, first, cache)),
        tuple(_slices(lesson, others, cache)),
        lesson.config,
        lesson.device,
    )
