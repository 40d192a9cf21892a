"""A linear classifier on pixel features and on all maps of a pre-trained encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_emcad.model.feature_extractor import LEVEL_STRIDES, FeatureExtractor
from napari_emcad.model.padding import pad_to_multiple
from napari_emcad.model.pixel_features import (
    COARSE_STRIDE,
    COARSE_WIDTH,
    FINE_WIDTH,
    pixel_features,
)
from napari_emcad.model.resize import resize, zoomed_size
from napari_emcad.model.segmenter import Segmenter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_emcad.model.segmenter import Head

FEATURE_STRIDES = (1, COARSE_STRIDE, *LEVEL_STRIDES)
"""Strides of the feature maps in pixels: those of single pixels first, then the encoder's."""


NEVER = -1e4
"""Bias of a class without annotated pixels; it is finite, as infinite outputs are errors."""


@dataclass(frozen=True, slots=True)
class ProbeConfig:
    """Numbers of classes (1 stands for object and background) and of input channels."""

    num_classes: int
    input_channels: int = 3


def feature_widths(extractor: FeatureExtractor) -> tuple[int, ...]:
    """Return the numbers of channels of the feature maps."""
    return (FINE_WIDTH, COARSE_WIDTH, *extractor.widths)


def feature_maps(extractor: FeatureExtractor, pixels: Tensor) -> list[Tensor]:
    """Return the feature maps of images, one per entry of `FEATURE_STRIDES`.

    Parameters
    ----------
    extractor
        Gives the maps of stride 4 to 32.
    pixels
        Images ``(N, 1 or 3, H, W)`` in the extractor's standardization, sides multiples of 32.
    """
    pixels = pixels.expand(-1, 3, -1, -1)
    with torch.autocast(pixels.device.type, enabled=False):  # differences of pixels need all digits
        fine = pixel_features(pixels)
    return [*fine, *(level.float() for level in extractor.levels(pixels))]


class FeatureProbe(Segmenter):
    """A network whose only trained part is one linear classifier; it predicts like `PvtEmcad`.

    Parameters
    ----------
    extractor
        Gives the feature maps.
    weights
        ``(K, C)`` per feature map, K ≥ 2 classes.
    bias
        ``(K,)``; `NEVER` for a class without annotated pixels.
    """

    def __init__(
        self, extractor: FeatureExtractor, weights: Sequence[Tensor], bias: Tensor
    ) -> None:
        super().__init__()
        classes = len(bias)
        self.config = ProbeConfig(1 if classes == 2 else classes)
        self._extractor = extractor
        self.encoder = extractor.encoder
        self._levels = len(weights)
        for number, weight in enumerate(weights):
            self.register_buffer(f"weight{number}", weight.float())
        self.register_buffer("bias", bias.float())
        self.eval()

    @property
    def extractor(self) -> FeatureExtractor:
        """The feature extractor."""
        return self._extractor

    def linear_weights(self) -> dict[str, Tensor]:
        """Return the weights by name: ``weight0`` … per feature map, and ``bias``."""
        names = [f"weight{number}" for number in range(self._levels)] + ["bias"]
        return {name: self.get_buffer(name) for name in names}

    @property
    def unknown_classes(self) -> Tensor:
        """Whether a class had no annotated pixels, ``(K,)`` bool."""
        return self.get_buffer("bias") < NEVER / 2

    def predict(self, x: Tensor, head: Head = "finest", zoom: float = 1.0) -> Tensor:
        """Return logits at the size of the input.

        Parameters
        ----------
        x
            Images ``(N, 1 or 3, H, W)`` in the extractor's standardization.
        head
            Ignored: there is one.
        zoom
            Factor by which the images are enlarged; logits are resized back.

        Returns
        -------
        Tensor
            ``(N, K, H, W)``; of two classes one channel, the logit of class 1 against class 0.
        """
        size = x.shape[-2], x.shape[-1]
        logits = self._logits(resize(x, zoomed_size(size, zoom)))
        if self.config.num_classes == 1:
            logits = logits[:, 1:] - logits[:, :1]
        return resize(logits, size)

    def _logits(self, x: Tensor) -> Tensor:
        padded = pad_to_multiple(x)
        maps = feature_maps(self._extractor, padded)
        size = padded.shape[-2:]
        total = self.get_buffer("bias")[:, None, None]
        with torch.autocast(x.device.type, enabled=False):  # as the weights were fitted
            for number, level in enumerate(maps):
                part = torch.einsum("nchw,kc->nkhw", level, self.get_buffer(f"weight{number}"))
                total = total + F.interpolate(part, size, mode="bilinear", align_corners=False)
        return total[..., : x.shape[-2], : x.shape[-1]]
