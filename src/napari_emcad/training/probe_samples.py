"""Features of annotated pixels, stroke by stroke, to fit a probe to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import ndimage

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.model.feature_probe import FEATURE_STRIDES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

_PER_STROKE = 96
"""Largest number of pixels of a stroke; its neighbors have nearly the same features."""

_BACKGROUND_SAMPLE = 2048
"""Number of positions of a map whose features give its mean and standard deviation."""


@dataclass(frozen=True, slots=True, eq=False)
class ProbeSamples:
    """Features of annotated pixels of one part of an image.

    Attributes
    ----------
    features
        Per feature map ``(n, C)``.
    classes
        ``(n,)``.
    strokes
        ``(n,)``: number of the stroke, from 0.
    first
        ``(n,)`` bool: whether the pixel is of the first strokes of its class.
    background
        Per feature map ``(m, C)``: features of evenly spaced positions, annotated or not.
    """

    features: tuple[Tensor, ...]
    classes: NDArray[np.integer]
    strokes: NDArray[np.integer]
    first: NDArray[np.bool_]
    background: tuple[Tensor, ...]


def sample_strokes(
    maps: Sequence[Tensor],
    target: NDArray[np.integer],
    first: NDArray[np.bool_] | None,
    zoom: float,
) -> ProbeSamples:
    """Return the features of annotated pixels, at most `_PER_STROKE` of a stroke.

    Parameters
    ----------
    maps
        Feature maps ``(C, h, w)``, one per entry of `FEATURE_STRIDES`.
    target
        ``(H, W)``: classes, `UNLABELED` elsewhere.
    first
        ``(H, W)`` bool: the first strokes per class; None if all pixels are.
    zoom
        Factor by which the image was enlarged for the maps.
    """
    rng = np.random.default_rng(0)
    strokes = [_thinned(positions, rng) for positions in find_strokes(target)]
    rows, columns = np.concatenate(strokes, 1) if strokes else np.empty((2, 0), int)
    early = np.ones(len(rows), bool) if first is None else first[rows, columns].astype(bool)
    features = [
        sample_map(one, stride / zoom, rows, columns)
        for one, stride in zip(maps, FEATURE_STRIDES, strict=True)
    ]
    sizes = [positions.shape[1] for positions in strokes]
    return ProbeSamples(
        tuple(features),
        target[rows, columns].astype(np.int64),
        np.repeat(np.arange(len(strokes)), sizes),
        early,
        tuple(_evenly_spaced(one) for one in maps),
    )


def find_strokes(target: NDArray[np.integer]) -> Iterator[NDArray[np.integer]]:
    """Yield the positions ``(2, n)`` of every connected annotated area of one class."""
    for k in np.unique(target[target != UNLABELED]):
        areas, count = ndimage.label(target == k, np.ones((3, 3)))
        for number, box in enumerate(ndimage.find_objects(areas, count), 1):
            inside = np.stack(np.nonzero(areas[box] == number))
            yield inside + np.array([[box[0].start], [box[1].start]])


def sample_map(
    level: Tensor, stride: float, rows: NDArray[np.integer], columns: NDArray[np.integer]
) -> Tensor:
    """Return the features ``(n, C)`` of a map at pixels of the image, bilinear.

    Parameters
    ----------
    level
        ``(C, h, w)``.
    stride
        Pixels of the image per position of the map.
    rows, columns
        Pixels of the image.
    """
    (top, bottom, down), (left, right, across) = (
        _neighbors(pixels, stride, size, level)
        for pixels, size in zip((rows, columns), level.shape[1:], strict=True)
    )
    upper = level[:, top, left] * (1 - across) + level[:, top, right] * across
    lower = level[:, bottom, left] * (1 - across) + level[:, bottom, right] * across
    return (upper * (1 - down) + lower * down).T.float().cpu()


def _neighbors(
    pixels: NDArray[np.integer], stride: float, size: int, level: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the positions before and after pixels along an axis, and the share of the latter."""
    position = torch.from_numpy((pixels + 0.5) / stride - 0.5).float().to(level.device)
    position = position.clamp(0, size - 1)
    before = position.floor().long()
    return before, (before + 1).clamp(max=size - 1), position - before


def _thinned(positions: NDArray[np.integer], rng: np.random.Generator) -> NDArray[np.integer]:
    """Return at most `_PER_STROKE` random positions of a stroke."""
    count = positions.shape[1]
    if count <= _PER_STROKE:
        return positions
    return positions[:, np.sort(rng.choice(count, _PER_STROKE, replace=False))]


def _evenly_spaced(level: Tensor) -> Tensor:
    flat = level.flatten(1)
    return flat[:, :: max(flat.shape[1] // _BACKGROUND_SAMPLE, 1)].T.float().cpu()
