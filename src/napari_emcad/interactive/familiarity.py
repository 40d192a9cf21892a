"""How familiar a model is with images, and the training configuration that follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.inference.devices import choose_device
from napari_emcad.interactive.samples import read_planes
from napari_emcad.io.checkpoints.feature_extractors import bundled_feature_extractor
from napari_emcad.training.pseudo_labels import PseudoLabelTeacher, split_by_annotation
from napari_emcad.training.validation import predict_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_emcad.interactive.plane_cache import PlaneCache
    from napari_emcad.interactive.samples import TaskPlanes
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.training.config import TrainingConfig
    from napari_emcad.training.samples import LabeledSlice

_ONE_CLASS_RATE = 0.05
"""Factor on the learning rate while only one class is annotated."""

_FEW_STROKES = 5
"""Number of strokes from which the running mean of the weights helps."""

_FAMILIAR_ACCURACY = 0.9
"""Accuracy on the first strokes from which a model is familiar with the images."""

_AGREEMENT = 0.5
"""Dice of model and probe from which they agree on a patch."""


@dataclass(frozen=True, slots=True)
class Familiarity:
    """How well a model predicts the first strokes on images; all values are in 0 … 1.

    Attributes
    ----------
    accuracy
        Accuracy on the first strokes, averaged over classes.
    agreement
        Dice of the model and a linear probe fitted to the first strokes, on their patches.
    agreement_elsewhere
        The lowest such Dice on the other annotated patches.
    """

    accuracy: float = 0.0
    agreement: float = 0.0
    agreement_elsewhere: float = 1.0

    @property
    def is_familiar(self) -> bool:
        """Whether the model is familiar with images like those of the first strokes."""
        return self.accuracy >= _FAMILIAR_ACCURACY

    @property
    def is_mixed(self) -> bool:
        """Whether the model is familiar with some of the annotated patches only.

        Where the probe agrees with a familiar model it can be trusted, so a patch on which they
        disagree is one that the model does not know.
        """
        return self.is_familiar and self.agreement >= _AGREEMENT > self.agreement_elsewhere


UNFAMILIAR, FAMILIAR = Familiarity(), Familiarity(1.0)


def adapted_config(
    config: TrainingConfig,
    classes: int,
    strokes: int,
    familiarity: Familiarity = UNFAMILIAR,
    trained_before: bool = False,
) -> TrainingConfig:
    """Return the configuration to learn from a number of classes and strokes.

    A network that sees strokes of one class alone would predict this class everywhere, so it stays
    near its initial weights until a second class is annotated. Pseudo-labels of unlabeled pixels
    come from the model itself if it is familiar with the images, else from a linear probe. Later
    strokes are painted where the model is wrong and may mislead the probe: once the model has
    learned from strokes, probe and model have to agree. The same holds where the model is familiar
    with some of the images only. Figures are in docs/benchmarks.md.

    Parameters
    ----------
    config
        Configuration that the user chose.
    classes, strokes
        Number of annotated classes including the background, and of strokes.
    familiarity
        Familiarity of the base model; see `measure_familiarity`.
    trained_before
        Whether the model has been trained with such strokes before.
    """
    if classes < 2:
        return config.replace(learning_rate=_ONE_CLASS_RATE * config.learning_rate, pseudo=0.0)
    if config.teacher == "probe":
        retrained = trained_before and strokes >= _FEW_STROKES
        if familiarity.is_familiar and not (familiarity.is_mixed and retrained):
            config = config.replace(teacher="initial")
        elif retrained:
            config = config.replace(teacher="consensus")
    if strokes < _FEW_STROKES:
        pseudo = 0.0 if config.teacher == "ema" else config.pseudo
        config = config.replace(pseudo=pseudo, ema=0.0)
    return config


def measure_familiarity(
    checkpoint: Checkpoint,
    first_strokes: Sequence[LabeledSlice],
    others: Sequence[LabeledSlice],
    config: TrainingConfig,
    device: str = "auto",
) -> Familiarity:
    """Return how familiar a model is with annotated images.

    The first strokes of the classes are the fair test: later ones are painted where the model is
    wrong.

    Parameters
    ----------
    checkpoint
        The model before it learned anything of these annotations.
    first_strokes
        Slices with only the first strokes of the classes; see `Record.first_strokes`.
    others
        Other annotated slices.
    config
        Training configuration.
    device
        Name of the device.
    """
    network = checkpoint.network().to(choose_device(device)).eval()
    classes = 1 + max((int(source.target.max(initial=0)) for source in first_strokes), default=0)
    correct, annotated = np.zeros(classes), np.zeros(classes)
    for part in split_by_annotation(first_strokes, checkpoint.preprocessing)[0]:
        predicted = predict_labels(network, part, checkpoint.preprocessing, checkpoint.head)
        for k in set(np.unique(part.target).tolist()) - {UNLABELED}:
            correct[k] += np.count_nonzero((predicted == k) & (part.target == k))
            annotated[k] += np.count_nonzero(part.target == k)
    present = annotated > 0
    accuracy = float((correct[present] / annotated[present]).mean()) if present.any() else 0.0
    if accuracy < _FAMILIAR_ACCURACY or classes > max(checkpoint.config.num_classes, 2):
        return Familiarity(accuracy)
    teacher = PseudoLabelTeacher(network, config.supervision, "probe", bundled_feature_extractor())
    teacher.fit(first_strokes, checkpoint.preprocessing)
    agreement = teacher.agreement(first_strokes, checkpoint.preprocessing)
    compared = others if agreement >= _AGREEMENT else ()
    elsewhere = [teacher.agreement([source], checkpoint.preprocessing) for source in compared]
    return Familiarity(accuracy, agreement, min(elsewhere, default=1.0))


def task_familiarity(planes: TaskPlanes, cache: PlaneCache) -> Familiarity:
    """Return how familiar the base model of a task is with its images.

    `FAMILIAR` is returned without asking the model if nothing depends on it.

    Parameters
    ----------
    planes
        Pixels of the task.
    cache
        Holds pixels; read only if the base model has another preprocessing than the task.
    """
    task = planes.task
    config = task.config
    needed = task.automatic or (config.pseudo and config.teacher == "probe")
    if not needed or task.classes < 2:
        return FAMILIAR
    base = task.base or task.checkpoint
    if base.config.input_channels != task.checkpoint.config.input_channels:
        base = task.checkpoint
    if base.preprocessing != task.checkpoint.preprocessing:
        planes = read_planes(task, cache, base.preprocessing)
    first_strokes, others = planes.familiarity_slices()
    return measure_familiarity(base, first_strokes, others, config, task.device)


def unfamiliar_message(familiarity: Familiarity) -> str:
    """Return a message if a model is not familiar with the images, else ""."""
    if familiarity.is_familiar:
        return ""
    return (
        f"The model predicted only {familiarity.accuracy:.0%} of your first strokes correctly, so "
        "these images are new to it: unlabeled pixels that look annotated are learned too."
    )


def validation_interval(
    config: TrainingConfig,
    training: Sequence[LabeledSlice],
    held_out: Sequence[LabeledSlice],
    zoom: float,
) -> int:
    """Return the number of epochs between validations so that they take no longer than training.

    Parameters
    ----------
    config
        Training configuration.
    training, held_out
        Slices of both kinds.
    zoom
        Zoom of the checkpoint's preprocessing.
    """
    crops = config.crops_per_epoch or len(training)
    held_out_pixels = sum(source.target.size for source in held_out) * zoom**2
    return max(config.validate_every, ceil(held_out_pixels / (crops * config.crop**2)))
