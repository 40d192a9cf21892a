"""What `segment` needs of a model: a checkpoint has it, and so has an instant model."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.io.checkpoints.checkpoint import Origin
    from napari_emcad.io.checkpoints.classes import ClassLabel
    from napari_emcad.model.segmenter import Head, Segmenter, SegmenterConfig


@runtime_checkable
class SegmentationModel(Protocol):
    """A network with its preprocessing and its classes; frozen, as built networks are kept."""

    @property
    def config(self) -> SegmenterConfig:
        """Numbers of classes and of input channels."""
        ...

    @property
    def preprocessing(self) -> Preprocessing:
        """Conversion of pixels to network inputs."""
        ...

    @property
    def head(self) -> Head:
        """The head whose logits are the prediction."""
        ...

    @property
    def classes(self) -> tuple[ClassLabel, ...]:
        """Names and colors of the classes without the background."""
        ...

    @property
    def title(self) -> str:
        """Name for people."""
        ...

    @property
    def origin(self) -> Origin:
        """File that it was read from."""
        ...

    def network(self) -> Segmenter:
        """Return the network in eval mode."""
        ...


def check_model(model: object) -> None:
    """Check that an argument is a checkpoint or an instant model; see `check_checkpoint`."""
    if not isinstance(model, SegmentationModel):
        check_checkpoint(model)


def check_checkpoint(checkpoint: object) -> None:
    """Check that an argument is a checkpoint.

    Raises
    ------
    TypeError
        If it is not (but a path); the message says how to get a checkpoint.
    """
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint

    if isinstance(checkpoint, (str, os.PathLike)):
        path = os.fspath(checkpoint)
        raise TypeError(f"The checkpoint is a path; open it with read_checkpoint({path!r}).")
    if not isinstance(checkpoint, Checkpoint):
        raise TypeError(
            f"The checkpoint is of type {type(checkpoint).__name__}; take one from "
            f"read_checkpoint, bundled_checkpoint or initialize_checkpoint."
        )
