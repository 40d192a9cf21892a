"""A pre-trained encoder whose feature maps describe images of any kind."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_emcad.model.config import STRIDES

if TYPE_CHECKING:
    from torch import Tensor, device, nn

LEVEL_STRIDES = tuple(sorted(STRIDES.values()))
"""Strides of the maps in pixels, finest first."""


@dataclass(frozen=True, slots=True, eq=False)
class FeatureExtractor:
    """An encoder that is not trained any more.

    Attributes
    ----------
    name
        Name for messages.
    widths
        Numbers of channels of the maps, finest first.
    mean, std
        Standardization of the three input channels in 0 … 1 that the encoder was trained with.
    encoder
        Module in eval mode: ``(N, 3, H, W)`` → four maps, finest first, as timm's
        ``features_only`` networks return them.
    """

    name: str
    widths: tuple[int, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    encoder: nn.Module

    def levels(self, pixels: Tensor) -> list[Tensor]:
        """Return the maps of standardized images, finest first.

        Parameters
        ----------
        pixels
            ``(N, 3, H, W)``, sides multiples of 32.

        Returns
        -------
        list
            Float32 maps ``(N, widths[i], H / s, W / s)`` for s = 4, 8, 16, 32.
        """
        return [level.float() for level in self.encoder(pixels)]

    def to(self, device: device) -> FeatureExtractor:
        """Return this extractor on a device; it is copied if it is on another one."""
        if all(parameter.device == device for parameter in self.encoder.parameters()):
            return self
        return replace(self, encoder=copy.deepcopy(self.encoder).to(device))
