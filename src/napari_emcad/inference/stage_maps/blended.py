"""The blended maps of one slice, and what is computed from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from napari_emcad.inference.probabilities import class_probabilities
from napari_emcad.inference.stage_maps.keys import MapKey, class_channel
from napari_emcad.inference.uncertainty import entropy, mutual_information

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_emcad.inference.stage_maps.pca import PcaColors
    from napari_emcad.model.segmenter import Head

_BAND = 128
"""Rows whose uncertainty is computed at once; a whole slice would need its probabilities of all
views in memory."""


@dataclass(frozen=True, slots=True, eq=False)
class BlendedMaps:
    """Recorded maps of one slice, blended over its tiles, with the padding of the network.

    Attributes
    ----------
    recorded
        ``(C, h, w)`` by key: logits of heads (``MapKey("logits", stage)``), attention, features
        (three channels where they are shown as colors), and for maps that need mirror images the
        three mirrored predictions, ``(3 K, h, w)``.
    num_classes
        Number of channels of a head.
    head
        The head whose logits are the prediction.
    temperature
        Divisor of the logits for maps of uncertainty.
    colors
        From features to colors.
    """

    recorded: Mapping[MapKey, NDArray[np.float32]]
    num_classes: int
    head: Head
    temperature: float
    colors: Mapping[MapKey, PcaColors]

    def compute(self, key: MapKey) -> NDArray[np.float32]:
        """Return the values of a map, still padded; see `StageMap.values` for their shape."""
        values = key.spec.compute(self, key)
        channel = class_channel(key, self.num_classes) if key.spec.group == "class" else None
        return values if channel is None else values[channel]

    def logits(self, stage: int) -> NDArray[np.float32]:
        """Return the logits of a stage's head, ``(K, h, w)``."""
        return self.recorded[MapKey("logits", stage)]

    def running_sum(self, stage: int) -> NDArray[np.float32]:
        """Return the sum of the logits of stages 4 … this one, at its resolution.

        It is the network's own sum: bilinear interpolation at the centers of the finer pixels.
        """
        total = self.logits(stage)
        for deeper in range(4, stage, -1):
            total = total + self.resize(self.logits(deeper), stage)
        return total

    def prediction(self) -> NDArray[np.float32]:
        """Return the logits of the prediction at the finest resolution, ``(K, h, w)``."""
        return self.running_sum(1) if self.head == "sum" else self.logits(1)

    def resize(self, maps: NDArray[np.float32], stage: int) -> NDArray[np.float32]:
        """Return ``(C, h, w)`` at the resolution of a stage's logits, bilinear."""
        size = self.logits(stage).shape[1:]
        if maps.shape[1:] == size:
            return maps
        batch = torch.from_numpy(np.ascontiguousarray(maps))[None]
        resized = F.interpolate(batch, size, mode="bilinear", align_corners=False)
        result: NDArray[np.float32] = resized[0].numpy()
        return result

    def uncertainty(self, views: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Return the entropy of a single view, or the mutual information of several, ``(h, w)``.

        Parameters
        ----------
        views
            Logits ``(K, h, w)`` of equal shape.
        """
        result = np.empty(views[0].shape[1:], np.float32)
        for first in range(0, len(result), _BAND):
            rows = slice(first, first + _BAND)
            band = [class_probabilities(view[:, rows], self.temperature) for view in views]
            result[rows] = entropy(band[0]) if len(band) == 1 else mutual_information(band)
        return result
