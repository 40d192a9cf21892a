"""The channel axis of result and annotation layers, which have one copy for all channels.

napari aligns layers from their last axis on. A layer on an image whose channels come first does
without the channel axis; if channels follow another axis, the layer has to have the axis as well,
or its slices would follow the slider of the channels. Its data are then a view with stride 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def layer_axes(axes: str) -> tuple[int, ...]:
    """Return the axes of an image that a layer on it has: all but leading channels.

    Parameters
    ----------
    axes
        One letter per axis of the image layer, without the color axis of RGB images.
    """
    first = len(axes) - len(axes.lstrip("C"))
    return tuple(range(first, len(axes)))


def broadcast_channels(array: NDArray[Any], axes: str, shape: Sequence[int]) -> NDArray[Any]:
    """Return a spatial array with the channel axis that its layer needs, as a writable view.

    Parameters
    ----------
    array
        Array without channels.
    axes
        One letter per axis of the image layer.
    shape
        Shape of the image layer's array along these axes.

    Returns
    -------
    NDArray
        The same memory for every channel: painting on one paints on all.
    """
    own_axes = layer_axes(axes)
    if len(own_axes) == array.ndim:
        return array
    sizes, strides = iter(array.shape), iter(array.strides)
    spans = [(shape[i], 0) if axes[i] == "C" else (next(sizes), next(strides)) for i in own_axes]
    view_shape, view_strides = zip(*spans, strict=True)
    return np.lib.stride_tricks.as_strided(array, view_shape, view_strides, writeable=True)


def without_channels(array: Any, axes: str) -> Any:
    """Return the data of a layer without its channel axis, as a view.

    Parameters
    ----------
    array
        Data of a layer on an image.
    axes
        One letter per axis of the image layer.
    """
    own_axes = layer_axes(axes)
    if array.ndim != len(own_axes):
        return array
    return array[tuple(0 if axes[i] == "C" else slice(None) for i in own_axes)]


def with_channels(position: Sequence[Any], axes: str, channel: Any = 0) -> tuple[Any, ...]:
    """Return a spatial position as a position in a layer, which may have a channel axis."""
    spatial = iter(position)
    return tuple(channel if axes[i] == "C" else next(spatial) for i in layer_axes(axes))
