"""What `segment` needs of a model: a checkpoint has it, and so has an instant model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from napari_emcad.imaging.intensity import Preprocessing
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

    def network(self) -> Segmenter:
        """Return the network in eval mode."""
        ...
