"""Image layers as slices, whose ranges of intensity are computed once per layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from napari_emcad.imaging.range_cache import RangeCache
from napari_emcad.pipelines.segment import slices_for
from napari_emcad.plugin.layers.geometry import levels
from napari_emcad.plugin.layers.pixel_events import pixel_events

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image

    from napari_emcad.imaging.slices import Scope, Slices
    from napari_emcad.pipelines.segmentation_model import SegmentationModel

_caches: WeakKeyDictionary[Image, tuple[Any, int, RangeCache]] = WeakKeyDictionary()
"""Finest array, revision of the pixels and ranges of every layer; dropped with the layer."""


def layer_slices(
    layer: Image,
    checkpoint: SegmentationModel,
    axes: str,
    channels: Sequence[int | None] | int | None,
    scope: Scope | None = None,
    level: int = 0,
) -> Slices:
    """Return a layer as slices for a checkpoint's network.

    All levels and scopes share the ranges of intensity of the finest level.

    Parameters
    ----------
    layer
        Image layer.
    checkpoint
        Checkpoint of the network.
    axes, channels, scope
        As for `napari_emcad.segment`.
    level
        Number of the level, 0 for the finest.

    Raises
    ------
    ValueError, TypeError
        Those of `napari_emcad.segment`.
    """
    arrays = [one.array for one in levels(layer)]
    ranges = _ranges_of(layer, arrays[0])
    return slices_for(arrays[level], checkpoint, axes, channels, scope, arrays[0], ranges)


def _ranges_of(layer: Image, finest: Any) -> RangeCache:
    """Return the ranges of a layer; new ones if its pixels may have changed."""
    revision = pixel_events(layer).revision
    array, its_revision, ranges = _caches.get(layer, (None, 0, RangeCache()))
    if array is not finest or its_revision != revision:
        ranges = RangeCache()
        _caches[layer] = finest, revision, ranges
    return ranges
