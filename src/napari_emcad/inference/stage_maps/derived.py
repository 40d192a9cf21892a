"""Maps made of the blended logits of the heads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from napari_emcad.inference.postprocess import channel_probabilities
from napari_emcad.inference.stage_maps.keys import channel_of
from napari_emcad.inference.uncertainty import class_probabilities, entropy, mutual_information
from napari_emcad.model.config import STAGES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from napari_emcad.inference.stage_maps.keys import MapKey
    from napari_emcad.model.network import Head

    Logits = Mapping[int, NDArray[np.float32]]


_BAND = 128
"""Rows of a map of doubt that are made at once."""


def finest(key: MapKey) -> int:
    """Return the stage whose resolution a map has."""
    return 1 if key.stage is None else key.stage


def heads_of(key: MapKey, head: Head) -> tuple[int, ...]:
    """Return the stages whose logits a map is made of, none for those that are recorded."""
    if key.kind in ("probability", "logits"):
        return (finest(key),)
    if key.kind in ("sum", "adds"):
        return down_to(finest(key))
    if key.kind == "disagreement" or (key.kind in ("entropy", "flips") and head == "sum"):
        return STAGES
    return (1,) if key.kind in ("entropy", "flips") else ()


def down_to(stage: int) -> tuple[int, ...]:
    """Return stages 4 … this one."""
    return STAGES[: STAGES.index(stage) + 1]


def of_classes(key: MapKey, logits: Logits, num_classes: int) -> NDArray[np.float32]:
    """Return a map of classes, ``(h, w)`` or ``(K, h, w)``, from padded logits ``(K, h, w)``."""
    stage = finest(key)
    if key.kind == "logits":
        values = logits[stage]
    elif key.kind == "probability":
        values = channel_probabilities(logits[stage])
    elif key.kind == "sum":
        values = summed(logits, stage)
    else:
        before = _enlarged(summed(logits, stage + 1), logits[stage].shape)
        values = channel_probabilities(before + logits[stage]) - channel_probabilities(before)
    channel = channel_of(key, num_classes)
    return values if channel is None else values[channel]


def of_doubt(
    key: MapKey,
    logits: Logits,
    flipped: NDArray[np.float32] | None,
    head: Head,
    temperature: float,
) -> NDArray[np.float32]:
    """Return a map of doubt, ``(h, w)``; `flipped` is ``(3 K, h, w)``, turned back."""
    if key.kind == "disagreement":
        views = [_enlarged(logits[n], logits[1].shape) for n in STAGES]
    else:
        said = summed(logits, 1) if head == "sum" else logits[1]
        views = [said] if flipped is None else [said, *np.split(flipped, 3)]
    doubt = np.empty(views[0].shape[1:], np.float32)
    for first in range(0, len(doubt), _BAND):  # else a slide's probabilities are held several times
        rows = slice(first, first + _BAND)
        band = [class_probabilities(each[:, rows], temperature) for each in views]
        doubt[rows] = entropy(band[0]) if len(band) == 1 else mutual_information(band)
    return doubt


def summed(logits: Logits, stage: int) -> NDArray[np.float32]:
    """Return the sum of stages 4 … this one at its resolution.

    Deeper maps are read between their pixels, bilinearly, at the centers of the finer ones: what
    the network's own sum is there.
    """
    shape = logits[stage].shape
    total = logits[stage]
    for n in down_to(stage)[:-1]:
        total = total + _enlarged(logits[n], shape)
    return total


def _enlarged(maps: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    if maps.shape == shape:
        return maps
    whole = torch.from_numpy(np.ascontiguousarray(maps))[None]
    larger = F.interpolate(whole, shape[-2:], mode="bilinear", align_corners=False)
    result: NDArray[np.float32] = larger[0].numpy()
    return result
