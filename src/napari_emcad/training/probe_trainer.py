"""Fit a probe again and again while strokes are added; features of unchanged slices are kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.imaging.tiles import plan_tiles
from napari_emcad.model.feature_probe import FEATURE_STRIDES, FeatureProbe, feature_maps
from napari_emcad.model.padding import pad_to_multiple
from napari_emcad.model.resize import resize, zoomed_size
from napari_emcad.training.fit_probe import fit_probe
from napari_emcad.training.probe_samples import ProbeSamples, sample_strokes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_emcad.model.feature_extractor import FeatureExtractor
    from napari_emcad.training.probe_settings import ProbeSettings
    from napari_emcad.training.samples import LabeledSlice

_TILE = 768
"""Side of the parts whose features are computed at once, in pixels that the extractor sees."""

_MOST_MAPS = 8
"""Number of parts whose feature maps of 25 MB are kept; those of others are computed again."""

_Key = tuple[int, int, int, int]
"""Identity of a slice's planes, number among slices that share them, first row, first column.

Names of slices are no key: two images may have the same.
"""


class ProbeTrainer:
    """Fits probes to labeled slices.

    Parameters
    ----------
    extractor
        Gives the features.
    device
        Where features are computed.
    """

    def __init__(self, extractor: FeatureExtractor, device: torch.device) -> None:
        self._extractor, self._device = extractor.to(device), device
        self._cache: dict[_Key, _Cached] = {}
        self._with_maps: list[_Key] = []

    def fit(
        self, slices: Sequence[LabeledSlice], classes: int, settings: ProbeSettings
    ) -> FeatureProbe | None:
        """Return the probe of all annotated pixels; None unless two classes are annotated.

        Parameters
        ----------
        slices
            Slices whose planes were normalized to 0 … 1; of a slice without a change since the
            last call neither planes nor target may be copies.
        classes
            Number of classes, the background included.
        settings
            See `choose_settings`.
        """
        cache, zoom = dict[_Key, _Cached](), settings.zoom
        for number, source in enumerate(slices):
            twins = sum(source.planes is other.planes for other in slices[:number])
            for rows, columns in plan_tiles(source.target.shape, _TILE, 0, zoom):
                if (source.target[rows, columns] == UNLABELED).all():
                    continue
                key = id(source.planes), twins, rows.start, columns.start
                before = self._cache.get(key)
                cache[key] = self._samples(before, source, rows, columns, zoom)
                if cache[key] is not before:
                    self._with_maps = [one for one in self._with_maps if one != key] + [key]
                    self._drop_maps(cache)
        self._cache = cache
        samples = [cached.samples for cached in cache.values()]
        probe = fit_probe(samples, classes, self._extractor, settings)
        return None if probe is None else probe.to(self._device)

    def _drop_maps(self, cache: dict[_Key, _Cached]) -> None:
        """Keep the maps of the parts that changed last only, which take the most memory."""
        dropped, self._with_maps = self._with_maps[:-_MOST_MAPS], self._with_maps[-_MOST_MAPS:]
        for key in dropped:
            for parts in (self._cache, cache):
                if key in parts:
                    parts[key] = replace(parts[key], maps=None)

    def _samples(
        self, before: _Cached | None, source: LabeledSlice, rows: slice, columns: slice, zoom: float
    ) -> _Cached:
        """Return the samples of a part of a slice, computed only as far as something changed."""
        target = source.target[rows, columns]
        first = None if source.first_strokes is None else source.first_strokes[rows, columns]
        annotation = np.stack([target, np.ones_like(target) if first is None else first])
        valid = before is not None and before.planes is source.planes and before.zoom == zoom
        if before is not None and valid and np.array_equal(before.annotation, annotation):
            return before
        maps = before.maps if before is not None and valid else None
        maps = maps or self._maps(source.planes[:, rows, columns], zoom)
        samples = sample_strokes([one.float() for one in maps], target, first, zoom)
        return _Cached(source.planes, zoom, annotation, maps, samples)

    @torch.inference_mode()
    def _maps(self, planes: NDArray[np.float32], zoom: float) -> list[Tensor]:
        """Return the feature maps ``(C, h, w)`` of planes, in half precision to save memory."""
        pixels = standardized(self._extractor, torch.tensor(planes, device=self._device)[None])
        size = zoomed_size((planes.shape[1], planes.shape[2]), zoom)
        maps = feature_maps(self._extractor, pad_to_multiple(resize(pixels, size)))
        sizes = [[-(-side // stride) for side in size] for stride in FEATURE_STRIDES]
        return [
            one[0, :, :height, :width].half()
            for one, (height, width) in zip(maps, sizes, strict=True)
        ]


@dataclass(frozen=True, slots=True, eq=False)
class _Cached:
    """Samples of a part of a slice, with what they were computed from, and perhaps its maps."""

    planes: NDArray[np.float32]
    zoom: float
    annotation: NDArray[np.integer]
    maps: list[Tensor] | None
    samples: ProbeSamples


def standardized(extractor: FeatureExtractor, pixels: Tensor) -> Tensor:
    """Return images ``(N, 3, H, W)`` as an extractor expects them from ``(N, 1 or 3, H, W)``.

    Parameters
    ----------
    extractor
        Its mean and standard deviation are used.
    pixels
        In 0 … 1.
    """
    mean, std = (pixels.new_tensor(one)[:, None, None] for one in (extractor.mean, extractor.std))
    return (pixels - mean) / std
