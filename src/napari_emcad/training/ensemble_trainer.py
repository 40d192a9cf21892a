"""Fit the probes of an ensemble again and again while strokes are added."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_emcad.model.probe_ensemble import ProbeEnsemble
from napari_emcad.training.probe_settings import choose_views
from napari_emcad.training.probe_trainer import ProbeTrainer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from napari_emcad.model.feature_extractor import FeatureExtractor
    from napari_emcad.training.samples import LabeledSlice


class EnsembleTrainer:
    """Fits a probe per size in which images are looked at; see `choose_views`.

    Parameters
    ----------
    extractor, device
        As for `ProbeTrainer`.
    """

    def __init__(self, extractor: FeatureExtractor, device: torch.device) -> None:
        self._extractor, self._device = extractor, device
        self._trainers: dict[float, ProbeTrainer] = {}

    def fit(
        self, slices: Sequence[LabeledSlice], classes: int, first: bool = False
    ) -> ProbeEnsemble | None:
        """Return the probes of all annotated pixels; None unless two classes are annotated.

        Parameters
        ----------
        slices, classes
            As for `ProbeTrainer.fit`.
        first
            Whether only the fastest probe is fitted.
        """
        views = choose_views([source.target for source in slices])[: 1 if first else None]
        for view in views:
            if view.zoom not in self._trainers:
                self._trainers[view.zoom] = ProbeTrainer(self._extractor, self._device)
        probes = [self._trainers[view.zoom].fit(slices, classes, view) for view in views]
        fitted = [probe for probe in probes if probe is not None]
        return ProbeEnsemble(fitted, [view.zoom for view in views]) if fitted else None
