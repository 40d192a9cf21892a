"""What is to be learned, and how: one value for fine-tuning and Live mode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from napari_emcad.interactive.annotated_patches import AnnotatedImage, merged_record
from napari_emcad.interactive.familiarity import Familiarity, adapted_config

if TYPE_CHECKING:
    from pathlib import Path

    from napari_emcad.annotation.record import Record
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.training.config import TrainingConfig


@dataclass(frozen=True, slots=True, eq=False)
class TrainingTask:
    """What is to be learned.

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
        The model before anything of the record was learned; None if `checkpoint` is it.
    """

    checkpoint: Checkpoint
    sources: tuple[AnnotatedImage, ...]
    record: Record
    config: TrainingConfig
    device: str = "auto"
    opened: Checkpoint | None = None

    @property
    def classes(self) -> int:
        """How many classes are painted, the background among them."""
        return len(merged_record(self.sources, self.record).painted)

    def adapted_config(self, met: Familiarity, taught: bool = False) -> TrainingConfig:
        """Return how to learn from what is painted; see `suiting.adapted_config`.

        Parameters
        ----------
        met
            How well the opened model knows the images.
        taught
            Whether the network has learned from it although `opened` is None.
        """
        strokes, taught = sum(self.record.strokes.values()), taught or self.opened is not None
        return adapted_config(self.config, self.classes, strokes, met, taught)


Start = Literal["model", "imagenet", "file", "nothing"]


@dataclass(frozen=True, slots=True)
class TrainChoices:
    """What the form says.

    Attributes
    ----------
    config
        How to train.
    start
        What to start from.
    encoder_file
        For ``"file"``.
    """

    config: TrainingConfig
    start: Start = "model"
    encoder_file: Path | None = None
