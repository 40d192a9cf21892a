"""New layers of a result: labels, and the probabilities of classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps import Colormap, label_colormap

from napari_emcad.plugin.layers.class_colors import class_features, label_colors
from napari_emcad.plugin.layers.image_metadata import image_metadata
from napari_emcad.plugin.layers.status import accept_no_direction

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_emcad.plugin.layers.target import Target

_OPACITY = 0.5
"""So that the image stays visible below."""


def new_labels_layer(target: Target, labels: Any, geometry: dict[str, Any]) -> Labels:
    """Return a layer that shows labels in the colors of their classes, or of single objects.

    Parameters
    ----------
    target
        Image, model and settings of the result.
    labels
        Array of the target's shape, or a list of levels, the finest first.
    geometry
        Spatial arguments of the layer.
    """
    is_pyramid = isinstance(labels, list)
    separate, classes = target.settings.clean_up.separate, target.checkpoint.classes
    layer = Labels(
        labels if is_pyramid else target.broadcast_channels(labels),
        multiscale=is_pyramid,
        name=f"{target.name} {'objects' if separate else target.kind}",
        colormap=label_colormap() if separate else label_colors(classes),
        features=None if separate else class_features(classes),
        opacity=_OPACITY,
        metadata=_origin_metadata(target, target.kind),
        **geometry,
    )
    accept_no_direction(layer)
    return layer


def new_probability_layers(
    target: Target, geometry: dict[str, Any]
) -> tuple[list[NDArray[np.float32]], list[Image]]:
    """Return an empty array per class, and the layers that show them.

    Parameters
    ----------
    target
        Image, model and shape of the result.
    geometry
        Spatial arguments of the layers.
    """
    classes = target.checkpoint.classes
    arrays = [np.zeros(target.shape, np.float32) for _ in classes]
    layers = [
        Image(
            target.broadcast_channels(array),
            name=f"{target.name} probability of {label.name}",
            colormap=Colormap([f"{label.color}00", f"{label.color}ff"], name=label.name),
            contrast_limits=(0, 1),
            opacity=_OPACITY,
            blending="translucent",
            metadata=_origin_metadata(target, "probability"),
            **geometry,
        )
        for label, array in zip(classes, arrays, strict=True)
    ]
    return arrays, layers


def present_array(layer: Image, array: NDArray[Any], target: Target) -> NDArray[Any]:
    """Return the array of a probability layer, which may have been converted meanwhile."""
    data = layer.data
    if not isinstance(data, np.ndarray) or np.may_share_memory(data, array):
        return array
    own: NDArray[Any] = target.without_channels(data)
    is_usable = own.shape == array.shape and data.dtype.kind == "f" and data.flags.writeable
    return own if is_usable else array


def _origin_metadata(target: Target, kind: str) -> dict[str, Any]:
    """Return the metadata of a layer: the image's, by which writers place it, and its origin."""
    checkpoint = target.checkpoint
    origin = {"kind": kind, "model": checkpoint.title, "sha256": checkpoint.origin.sha256}
    return image_metadata(target.source, target.shape) | {"napari-emcad": origin}
