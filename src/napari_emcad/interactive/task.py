"""A training task: which annotations are learned, from which checkpoint, and how."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from napari_emcad.imaging.exposure import range_mismatch
from napari_emcad.inference.events import RangeNotice
from napari_emcad.interactive.annotation_conflicts import merged_record

if TYPE_CHECKING:
    from pathlib import Path

    from napari_emcad.annotation.record import Record
    from napari_emcad.interactive.annotated_patches import AnnotatedImage
    from napari_emcad.interactive.familiarity import Familiarity
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.training.config import TrainingConfig

Start = Literal["automatic", "model", "general", "imagenet", "file", "nothing"]


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """Values of the training form.

    Attributes
    ----------
    config
        Training configuration.
    start
        Initial weights: of the open ``"model"``; of the ``"general"`` network that comes with the
        package; of an ``"imagenet"`` encoder, or of an encoder ``"file"``, with a random decoder;
        all random (``"nothing"``); or ``"automatic"``: of the general network if the open model is
        the bundled one and does not know the images, else of the open model.
    encoder_file
        File of the encoder if `start` is ``"file"``.
    """

    config: TrainingConfig
    start: Start = "automatic"
    encoder_file: Path | None = None

    @property
    def steps(self) -> int:
        """Number of optimizer steps."""
        crops = self.config.crops_per_epoch or self.config.batch
        return self.config.epochs * -(-crops // self.config.batch)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingTask:
    """What a training or a live update learns; made by `training_task`.

    Attributes
    ----------
    checkpoint
        Checkpoint to start from, with a head for each annotated class.
    images
        Annotated images.
    record
        Annotated patches of these images without conflicts, split into training and held-out
        pixels; see `merged_record`.
    config
        Training configuration.
    device
        Name of the device.
    base
        The model before it learned anything of this record; None if that is `checkpoint`.
    automatic
        Whether to start from the general network instead if the bundled model does not know the
        images; see `initial_weights.suited_task`.
    familiarity
        How familiar `base` is with the images; None if it was not measured.
    """

    checkpoint: Checkpoint
    images: tuple[AnnotatedImage, ...]
    record: Record
    config: TrainingConfig
    device: str = "auto"
    base: Checkpoint | None = None
    automatic: bool = False
    familiarity: Familiarity | None = None

    @property
    def classes(self) -> int:
        """Number of annotated classes including the background."""
        return len(self.record.pixel_counts)

    @property
    def strokes(self) -> int:
        """Number of strokes of all classes."""
        return sum(self.record.strokes.values())

    @property
    def held_out_pixels(self) -> int:
        """Number of held-out pixels; 0 if a score on them would say nothing."""
        return 0 if self.record.why_no_score() else sum(self.record.held_out_counts.values())

    def with_checkpoint(self, checkpoint: Checkpoint) -> TrainingTask:
        """Return the task with another checkpoint to start from, which is its own base."""
        return replace(self, checkpoint=checkpoint, base=None, familiarity=None)


def training_task(
    checkpoint: Checkpoint,
    images: tuple[AnnotatedImage, ...],
    record: Record,
    config: TrainingConfig,
    device: str = "auto",
    base: Checkpoint | None = None,
    automatic: bool = False,
) -> TrainingTask:
    """Return the task to learn a record of annotations.

    Parameters
    ----------
    checkpoint, config, device, base, automatic
        See `TrainingTask`.
    images
        Annotated images to learn from.
    record
        Record of these and perhaps other images.
    """
    record = merged_record(images, record)
    return TrainingTask(checkpoint, images, record, config, device, base, automatic)


def range_notice(task: TrainingTask) -> RangeNotice | None:
    """Return a notice about the first annotated image outside of the model's range, or None."""
    for image in task.images:
        if mismatch := range_mismatch(image.slices, task.checkpoint.preprocessing):
            return RangeNotice(f"{image.name}: {mismatch}")
    return None
