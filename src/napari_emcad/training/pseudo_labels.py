"""What pixels without paint are taught: what the network said before, or what they look like."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.imaging.intensity import standardize
from napari_emcad.imaging.tiles import plan_tiles
from napari_emcad.model.config import STRIDES
from napari_emcad.model.network import pad_to_multiple
from napari_emcad.model.resize import resize, zoomed_size
from napari_emcad.training.linear_probe import Probe, ProbeStatistics, probe_features
from napari_emcad.training.losses import class_probabilities
from napari_emcad.training.samples import LabeledSlice
from napari_emcad.training.supervision import SUBSETS, sum_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.model.network import PvtEmcad
    from napari_emcad.training.config import SupervisionName, TeacherName

_TILE = 384
"""What is painted is looked at in parts of this side, in pixels that the network sees."""

_MOST_PARTS = 4
"""Parts of a page in which probe and network are held against each other."""


class PseudoLabelTeacher:
    """A network as it was before a training, which teaches pixels without paint.

    Parameters
    ----------
    network
        It is copied.
    supervision
        Of `TrainingConfig`: whether the network predicts by one head or by their sum.
    teacher
        ``"initial"`` teaches what the network itself predicts, ``"probe"`` what a linear probe on
        its maps makes of the painted pixels, ``"consensus"`` the latter where both say the same.
    """

    def __init__(
        self, network: PvtEmcad, supervision: SupervisionName, teacher: TeacherName
    ) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.teacher = teacher
        self._subset = SUBSETS[supervision][-1]
        self._fits: dict[tuple[str, int, int], tuple[NDArray[np.integer], ProbeStatistics]] = {}
        self._probe: Probe | None = None

    def fit(self, slices: Sequence[LabeledSlice], preprocessing: Preprocessing) -> None:
        """Fit the probe to what is painted; what was seen before is not computed again.

        Parameters
        ----------
        slices, preprocessing
            As for a training.
        """
        if self.teacher == "initial":
            return
        whole, fits = ProbeStatistics(max(self.network.config.num_classes, 2)), {}
        for each in slices:
            for rows, columns in plan_tiles(each.target.shape, _TILE, 0, preprocessing.zoom):
                target = each.target[rows, columns]
                if (target == UNLABELED).all():
                    continue
                first = None if each.first_strokes is None else each.first_strokes[rows, columns]
                painted = np.stack([target, np.ones_like(target) if first is None else first])
                key = each.name, rows.start, columns.start
                before, fit = self._fits.get(key, (None, None))
                if before is None or fit is None or not np.array_equal(before, painted):
                    planes = each.planes[:, rows, columns]
                    fit = _fit(self.network, planes, target, first, preprocessing)
                fits[key] = painted, fit
                whole.merge(fit)
        self._fits, self._probe = fits, whole.fit_probe()

    @torch.no_grad()
    def agreement(self, slices: Sequence[LabeledSlice], preprocessing: Preprocessing) -> float:
        """Return Dice between probe and network around paint, mean of the classes but 0.

        Parameters
        ----------
        slices, preprocessing
            As for `fit`; 0 if no probe could be fitted.
        """
        classes = max(self.network.config.num_classes, 2)
        both, either = np.zeros(classes), np.zeros(classes)
        for part in _around_paint(slices, preprocessing) if self._probe is not None else ():
            pixels = _pixels(self.network, part.planes, preprocessing)
            maps, free = self.network.encode(pixels), torch.ones_like(pixels[:, 0]) > 0
            looks = self.probabilities(pixels, free, maps).argmax(1)
            said = self._network_probabilities(pixels, maps, free).argmax(1)
            for k in range(1, classes):
                both[k] += int(((looks == k) & (said == k)).sum())
                either[k] += int((looks == k).sum()) + int((said == k).sum())
        found = either > 0
        return float((2 * both[found] / either[found]).mean()) if found.any() else 0.0

    @torch.no_grad()
    def probabilities(
        self, pixels: Tensor, free: Tensor, maps: list[Tensor] | None = None
    ) -> Tensor:
        """Return what to teach, ``(N, classes, H, W)`` probabilities; all 0 where nothing is.

        Parameters
        ----------
        pixels
            ``(N, inputs, H, W)``, multiples of 32.
        free
            ``(N, H, W)`` bool: without paint.
        maps
            Of an encoder that is not trained, if they are known.
        """
        if self._probe is None:
            return self._network_probabilities(pixels, maps, free) * free[:, None]
        finest = self.network.encode_finest(pixels) if maps is None else maps[-1]
        looks = self._probe.probabilities(probe_features(pixels, finest))
        large = F.interpolate(looks, free.shape[-2:], mode="bilinear")
        unknown = torch.isinf(self._probe.offsets).to(free.device)
        if unknown.any() or self.teacher == "consensus":
            said = self._network_probabilities(pixels, maps, free).argmax(1)
            free = free & ~unknown[said]  # what no stroke speaks of stays as it is
            if self.teacher == "consensus":
                free = free & (said == large.argmax(1))
        return large * free[:, None]

    def _network_probabilities(
        self, pixels: Tensor, maps: list[Tensor] | None, free: Tensor
    ) -> Tensor:
        """Return the network's own probabilities, ``(N, classes, H, W)``."""
        maps = self.network.encode(pixels) if maps is None else maps
        logits = self.network.decode(maps)
        large = {
            head: F.interpolate(logits[head].float(), free.shape[-2:], mode="bilinear")
            for head in self._subset
        }
        return class_probabilities(sum_of(large, self._subset))


def split_by_annotation(
    slices: Sequence[LabeledSlice], preprocessing: Preprocessing
) -> tuple[list[LabeledSlice], list[LabeledSlice]]:
    """Return slices in parts of what is looked at once: those with paint, and those without."""
    painted: list[LabeledSlice] = []
    empty: list[LabeledSlice] = []
    for each in slices:
        for rows, columns in plan_tiles(each.target.shape, _TILE, 0, preprocessing.zoom):
            target = each.target[rows, columns]
            part = LabeledSlice(each.name, each.planes[:, rows, columns], target)
            (empty if (target == UNLABELED).all() else painted).append(part)
    return painted, empty


def _around_paint(
    slices: Sequence[LabeledSlice], preprocessing: Preprocessing
) -> list[LabeledSlice]:
    """Return parts with paint, then others, evenly spaced, as far as they go."""
    painted, others = split_by_annotation(slices, preprocessing)
    room = max(_MOST_PARTS - len(painted), 0)
    every = max(-(-len(others) // room), 1) if room else 1
    return [*painted[:_MOST_PARTS], *others[::every][:room]]


@torch.no_grad()
def _fit(
    network: PvtEmcad,
    planes: NDArray[np.float32],
    target: NDArray[np.integer],
    first: NDArray[np.bool_] | None,
    preprocessing: Preprocessing,
) -> ProbeStatistics:
    """Return what a network sees where a part of a slice is painted."""
    fit = ProbeStatistics(max(network.config.num_classes, 2))
    padded = _pixels(network, planes, preprocessing)
    seen = probe_features(padded, network.encode_finest(padded))[0]
    large = zoomed_size((target.shape[0], target.shape[1]), preprocessing.zoom)
    high, wide = (-(-side // STRIDES[1]) for side in large)
    device = padded.device
    painted = torch.from_numpy(target.astype(np.int64)).to(device)
    early = None if first is None else torch.from_numpy(np.ascontiguousarray(first)).to(device)
    fit.add(seen[:, :high, :wide], painted, early)
    return fit


def _pixels(network: PvtEmcad, planes: NDArray[np.float32], preprocessing: Preprocessing) -> Tensor:
    """Return a part of a slice as a network takes it: enlarged, and padded at its ends."""
    shown = np.broadcast_to(planes, (network.config.input_channels, *planes.shape[1:]))
    device = next(network.parameters()).device
    pixels = torch.from_numpy(standardize(shown, preprocessing))[None].to(device)
    large = resize(pixels, zoomed_size((shown.shape[1], shown.shape[2]), preprocessing.zoom))
    return pad_to_multiple(large).to(memory_format=torch.channels_last)
