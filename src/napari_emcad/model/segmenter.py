"""What all networks that segment images have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

Head = Literal["finest", "sum"]
"""The logits that are the prediction: those of stage 1, or the sum of all four."""


class SegmenterConfig(Protocol):
    """Numbers of classes (1 stands for object and background) and of input channels."""

    @property
    def num_classes(self) -> int:
        """Number of channels of the logits."""
        ...

    @property
    def input_channels(self) -> int:
        """Number of channels of the input, 1 or 3."""
        ...


class Segmenter(nn.Module):
    """A network that returns logits at the size of its input.

    Attributes
    ----------
    config
        Its classes and inputs.
    half_weights
        Whether weights may be bfloat16; inputs and logits are float32 all the same.
    """

    config: SegmenterConfig
    half_weights: ClassVar[bool] = False

    def predict(self, x: Tensor, head: Head = "finest", zoom: float = 1.0) -> Tensor:
        """Return logits ``(N, K, H, W)``.

        Parameters
        ----------
        x
            Preprocessed images, ``(N, 1 or 3, H, W)``.
        head
            The head whose logits are returned, if there are several.
        zoom
            Factor by which the images are enlarged for the network; logits are resized back.
        """
        raise NotImplementedError
