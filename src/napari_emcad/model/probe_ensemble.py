"""Several probes that look at images in different sizes; their probabilities are averaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from napari_emcad.model.feature_probe import FeatureProbe
from napari_emcad.model.segmenter import Segmenter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_emcad.model.segmenter import Head

_LEAST = 1e-6
"""Smallest probability, so that logits are finite."""


class ProbeEnsemble(Segmenter):
    """The mean of the probabilities of probes with the same classes.

    Parameters
    ----------
    probes
        At least one.
    zooms
        Factors by which the probes enlarge images, relative to the zoom of `predict`.
    """

    def __init__(self, probes: Sequence[FeatureProbe], zooms: Sequence[float]) -> None:
        super().__init__()
        self.config = probes[0].config
        self.probes, self.zooms = nn.ModuleList(probes), tuple(zooms)
        self.eval()

    @property
    def members(self) -> list[FeatureProbe]:
        """The probes."""
        return [probe for probe in self.probes if isinstance(probe, FeatureProbe)]

    def predict(self, x: Tensor, head: Head = "finest", zoom: float = 1.0) -> Tensor:
        """Return logits at the size of the input; see `FeatureProbe.predict`."""
        outputs = [
            probe.predict(x, head, zoom * own)
            for probe, own in zip(self.members, self.zooms, strict=True)
        ]
        if len(outputs) == 1:
            return outputs[0]
        if self.config.num_classes == 1:
            mean = torch.stack([output.sigmoid() for output in outputs]).mean(0)
            return mean.logit(_LEAST)
        mean = torch.stack([output.softmax(1) for output in outputs]).mean(0)
        return mean.clamp_min(_LEAST).log()
