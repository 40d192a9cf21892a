"""Pseudo-labels of unlabeled pixels: from the network before training, or from a linear probe."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.imaging.intensity import IMAGENET_MEAN, IMAGENET_STD, standardize
from napari_emcad.imaging.tiles import plan_tiles
from napari_emcad.model.feature_extractor import FeatureExtractor
from napari_emcad.model.padding import pad_to_multiple
from napari_emcad.model.resize import resize, zoomed_size
from napari_emcad.training.losses import class_probabilities
from napari_emcad.training.probe_settings import choose_settings
from napari_emcad.training.probe_trainer import ProbeTrainer, standardized
from napari_emcad.training.samples import LabeledSlice
from napari_emcad.training.supervision import SUBSETS, sum_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.model.feature_probe import FeatureProbe
    from napari_emcad.model.network import PvtEmcad
    from napari_emcad.training.config import SupervisionName, TeacherName

_TILE = 384
"""Side of the parts in which slices are encoded, in pixels that the network sees."""

_MOST_PARTS = 4
"""Number of parts on which probe and network are compared, at most."""


class PseudoLabelTeacher:
    """The network as it was before a training, which labels unlabeled pixels.

    Parameters
    ----------
    network
        It is copied.
    supervision
        As in `TrainingConfig`: whether the network predicts by one head or by their sum.
    teacher
        Source of the pseudo-labels: ``"initial"``, the network's own predictions; ``"probe"``, a
        linear probe that is fitted to the annotated pixels; ``"consensus"``, the probe where both
        agree.
    extractor
        Gives the features of the probe; None takes the encoder of the network.
    """

    def __init__(
        self,
        network: PvtEmcad,
        supervision: SupervisionName,
        teacher: TeacherName,
        extractor: FeatureExtractor | None = None,
    ) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.teacher = teacher
        self._subset = SUBSETS[supervision][-1]
        self._extractor = extractor or _encoder_of(self.network)
        self._trainer = ProbeTrainer(self._extractor, next(network.parameters()).device)
        self._probe: FeatureProbe | None = None
        self._zoom = 1.0
        self._preprocessing: Preprocessing | None = None

    def fit(self, slices: Sequence[LabeledSlice], preprocessing: Preprocessing) -> None:
        """Fit the probe to the annotated pixels; features of unchanged slices are reused.

        Parameters
        ----------
        slices, preprocessing
            As for a training.
        """
        if self.teacher == "initial":
            return
        classes = max(self.network.config.num_classes, 2)
        settings = choose_settings([source.target for source in slices])
        self._probe = self._trainer.fit(slices, classes, settings)
        self._zoom, self._preprocessing = settings.zoom / preprocessing.zoom, preprocessing

    @torch.no_grad()
    def agreement(self, slices: Sequence[LabeledSlice], preprocessing: Preprocessing) -> float:
        """Return the Dice between probe and network near annotations, mean of the foreground.

        Parameters
        ----------
        slices, preprocessing
            As for `fit`; the result is 0 if no probe could be fitted.
        """
        if self._probe is None:
            return 0.0
        classes = max(self.network.config.num_classes, 2)
        both, sizes = np.zeros(classes), np.zeros(classes)
        for part in _compared_parts(slices, preprocessing):
            pixels = _network_input(self.network, part.planes, preprocessing)
            maps, everywhere = self.network.encode(pixels), torch.ones_like(pixels[:, 0]) > 0
            by_probe = self.probabilities(pixels, everywhere, maps).argmax(1)
            by_network = self._network_probabilities(pixels, maps, everywhere).argmax(1)
            for k in range(1, classes):
                both[k] += int(((by_probe == k) & (by_network == k)).sum())
                sizes[k] += int((by_probe == k).sum()) + int((by_network == k).sum())
        present = sizes > 0
        return float((2 * both[present] / sizes[present]).mean()) if present.any() else 0.0

    @torch.no_grad()
    def probabilities(
        self, pixels: Tensor, unlabeled: Tensor, maps: list[Tensor] | None = None
    ) -> Tensor:
        """Return soft pseudo-labels ``(N, classes, H, W)``; all 0 where there is none.

        Parameters
        ----------
        pixels
            Network input, ``(N, inputs, H, W)``, multiples of 32.
        unlabeled
            ``(N, H, W)`` bool: which pixels need a pseudo-label.
        maps
            Maps of the encoder for these pixels, if it is not trained and they are known.
        """
        if self._probe is None:
            return self._network_probabilities(pixels, maps, unlabeled) * unlabeled[:, None]
        by_probe = self._probe_probabilities(self._probe, pixels)
        unknown = self._probe.unknown_classes.to(unlabeled.device)
        if unknown.any() or self.teacher == "consensus":
            by_network = self._network_probabilities(pixels, maps, unlabeled).argmax(1)
            unlabeled = unlabeled & ~unknown[by_network]  # a class without strokes is not unlearned
            if self.teacher == "consensus":
                unlabeled = unlabeled & (by_network == by_probe.argmax(1))
        return by_probe * unlabeled[:, None]

    def _probe_probabilities(self, probe: FeatureProbe, pixels: Tensor) -> Tensor:
        """Return the probe's probabilities, ``(N, classes, H, W)``, of network input."""
        assert self._preprocessing is not None
        mean, std = (
            pixels.new_tensor(values)[:, None, None]
            for values in (self._preprocessing.mean, self._preprocessing.std)
        )
        images = standardized(self._extractor, pixels * std + mean)
        return class_probabilities(probe.predict(images, zoom=self._zoom))

    def _network_probabilities(
        self, pixels: Tensor, maps: list[Tensor] | None, unlabeled: Tensor
    ) -> Tensor:
        """Return the network's own probabilities, ``(N, classes, H, W)``."""
        maps = self.network.encode(pixels) if maps is None else maps
        logits = self.network.decode(maps)
        size = unlabeled.shape[-2:]
        large = {
            head: F.interpolate(logits[head].float(), size, mode="bilinear")
            for head in self._subset
        }
        return class_probabilities(sum_of(large, self._subset))


def _parts(
    slices: Sequence[LabeledSlice], preprocessing: Preprocessing
) -> Iterator[tuple[LabeledSlice, slice, slice]]:
    """Yield rows and columns of the parts in which slices are encoded."""
    for source in slices:
        for rows, columns in plan_tiles(source.target.shape, _TILE, 0, preprocessing.zoom):
            yield source, rows, columns


def split_by_annotation(
    slices: Sequence[LabeledSlice], preprocessing: Preprocessing
) -> tuple[list[LabeledSlice], list[LabeledSlice]]:
    """Return the parts of slices with annotated pixels, and those without."""
    annotated: list[LabeledSlice] = []
    empty: list[LabeledSlice] = []
    for source, rows, columns in _parts(slices, preprocessing):
        target = source.target[rows, columns]
        part = LabeledSlice(source.name, source.planes[:, rows, columns], target)
        (empty if (target == UNLABELED).all() else annotated).append(part)
    return annotated, empty


def _compared_parts(
    slices: Sequence[LabeledSlice], preprocessing: Preprocessing
) -> list[LabeledSlice]:
    """Return at most `_MOST_PARTS` parts: annotated ones first, then evenly spaced others."""
    annotated, others = split_by_annotation(slices, preprocessing)
    room = max(_MOST_PARTS - len(annotated), 0)
    step = max(-(-len(others) // room), 1) if room else 1
    return [*annotated[:_MOST_PARTS], *others[::step][:room]]


def _encoder_of(network: PvtEmcad) -> FeatureExtractor:
    """Return the encoder of a network as a feature extractor."""
    widths = network.config.encoder_spec.widths
    return FeatureExtractor("encoder", widths, IMAGENET_MEAN, IMAGENET_STD, network.encoder)


def _network_input(
    network: PvtEmcad, planes: NDArray[np.float32], preprocessing: Preprocessing
) -> Tensor:
    """Return a part of a slice as network input, zoomed and padded."""
    inputs = np.broadcast_to(planes, (network.config.input_channels, *planes.shape[1:]))
    device = next(network.parameters()).device
    pixels = torch.from_numpy(standardize(inputs, preprocessing))[None].to(device)
    zoomed = resize(pixels, zoomed_size((inputs.shape[1], inputs.shape[2]), preprocessing.zoom))
    return pad_to_multiple(zoomed).to(memory_format=torch.channels_last)
