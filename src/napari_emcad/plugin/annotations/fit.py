"""Whether an annotation layer fits an image, and the memory that its channels share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.transforms import CompositeAffine

from napari_emcad.plugin.annotations.layer import LARGEST, corner_of, placement
from napari_emcad.plugin.layers.channel_axis import broadcast_channels, layer_axes, without_channels
from napari_emcad.plugin.layers.drawn import data_to_world, unit_factors
from napari_emcad.plugin.layers.geometry import levels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Image, Labels
    from numpy.typing import NDArray

_HALF_PIXEL = 0.501
"""Distance in pixels within which a layer lies on its image."""


def why_not_on(layer: Labels, image: Image, axes: str) -> str:
    """Return the reason why a layer cannot annotate an image pixel by pixel, or ""."""
    if layer.multiscale:
        return "it is multiscale, and napari cannot paint on it"
    image_shape = levels(image)[0].array.shape
    if len(image_shape) != len(axes):
        return f"its image had {len(axes)} axes and now has {len(image_shape)}"
    shape = tuple(size for size, letter in zip(image_shape, axes, strict=True) if letter != "C")
    own_shape, corner = _spatial_shape(layer, axes[: image.ndim]), corner_of(layer)
    if own_shape is None:
        return f"it has {layer.ndim} axes, which is too many or too few"
    if not _channels_share_memory(layer.data, axes[: image.ndim]):
        return "its channels hold different values, and there is one annotation for all of them"
    if own_shape == shape and not any(corner):
        return ""
    ends = [first + size for first, size in zip(corner, own_shape, strict=False)]
    within = len(ends) == len(shape) and all(e <= s for e, s in zip(ends, shape, strict=True))
    if within and np.prod(shape, dtype=float) > LARGEST:
        return ""
    return f"it has {_size(own_shape)} pixels, the image {_size(shape)}; they must agree"


def misplacement(viewer: ViewerModel, layer: Labels, image: Image, axes: str) -> str:
    """Return how a layer lies elsewhere than the pixels of the image that it annotates, or "".

    Parameters
    ----------
    viewer
        Viewer of both.
    layer
        Layer that fits the image, see `why_not_on`.
    image
        Image layer.
    axes
        Axes of the image's array.
    """
    expected = placement(image, axes, corner_of(layer))
    own = CompositeAffine(
        expected["scale"],
        expected["translate"],
        rotate=expected["rotate"],
        shear=expected["shear"],
    )
    wanted = _in_units_of(viewer, expected["units"], expected["affine"] @ own.affine_matrix)
    present = _in_units_of(viewer, layer.units, data_to_world(layer))
    count = min(len(wanted), len(present)) - 1
    wanted, present = (matrix[-count - 1 :, -count - 1 :] for matrix in (wanted, present))
    size = np.array(layer.data.shape[-count:]) - 1
    corners = np.array([[*(at * size), 1] for at in np.ndindex((2,) * count)]).T
    shift = np.linalg.inv(wanted) @ present @ corners - corners
    if np.abs(shift).max() < _HALF_PIXEL:
        return ""
    return _difference(present, wanted)


def _in_units_of(
    viewer: ViewerModel, units: Sequence[Any], to_world: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return a matrix from pixels to a layer's units as one to the viewer's units."""
    return np.diag([*(1 / unit_factors(viewer, units)), 1.0]) @ np.asarray(to_world)


def _difference(present: NDArray[np.float64], wanted: NDArray[np.float64]) -> str:
    """Describe how two matrices from pixels to the viewer's units differ."""
    sizes = [np.linalg.norm(matrix[:-1, :-1], axis=0) for matrix in (present, wanted)]
    if not np.allclose(sizes[0], sizes[1], rtol=1e-3):
        own, others = (_size(tuple(f"{size:.4g}" for size in one)) for one in sizes)
        return f"its pixels are {own}, those of the image {others}"
    if not np.allclose(present[:-1, :-1], wanted[:-1, :-1], atol=1e-3 * sizes[0].max()):
        return "it is mirrored, rotated or sheared in another way"
    own, others = (
        ", ".join(f"{start:.4g}" for start in matrix[:-1, -1]) for matrix in (present, wanted)
    )
    return f"its first pixel is at ({own}), that of the image at ({others})"


def why_not_paintable(layer: Labels, image: Image, axes: str) -> str:
    """Return the reason why an annotation of an image cannot be painted on, or "".

    Parameters
    ----------
    layer, image
        Annotation and image layer.
    axes
        A letter per axis of the image layer, without the color axis of RGB.
    """
    data = layer.data
    if layer.ndim < len(layer_axes(axes)):
        return (
            f"“{layer.name}” has no axis for the channels of “{image.name}”, so napari shows other "
            f"slices of it: it is used as it is. Paint on a New annotation."
        )
    if data.flags.writeable if isinstance(data, np.ndarray) else not hasattr(data, "compute"):
        return ""
    return f"“{layer.name}” is read-only: it is used as it is."


def share_channels(layer: Labels, axes: str) -> None:
    """Make all channels of a layer share one memory again, as in layers that napari copied or read.

    Nothing happens if the channels hold different values; `why_not_on` reports it.

    Parameters
    ----------
    layer
        Annotation layer.
    axes
        A letter per axis of the image layer, without the color axis of RGB.
    """
    no_channels = layer.multiscale or _spatial_shape(layer, axes) is None
    if no_channels or _channels_share_memory(layer.data, axes):
        return
    sizes = dict(zip(layer_axes(axes), layer.data.shape, strict=True))
    shape = [sizes.get(axis, 1) for axis in range(len(axes))]
    shared = broadcast_channels(np.array(without_channels(layer.data, axes)), axes, shape)
    if np.array_equal(np.asarray(layer.data), shared):
        layer.data = shared


def _spatial_shape(layer: Labels, axes: str) -> tuple[int, ...] | None:
    """Return the shape of an annotation without channels; None if its axes do not fit."""
    if layer.ndim not in (len(axes.replace("C", "")), len(layer_axes(axes))):
        return None
    return tuple(without_channels(layer.data, axes).shape)


def _channels_share_memory(data: Any, axes: str) -> bool:
    """Return whether an array has one memory for all channels, if it has a channel axis."""
    kept = layer_axes(axes)
    if data.ndim != len(kept):
        return True
    strides = getattr(data, "strides", None) or (1,) * data.ndim
    channel_axes = [n for n, axis in enumerate(kept) if axes[axis] == "C"]
    return all(strides[n] == 0 or data.shape[n] == 1 for n in channel_axes)


def _size(shape: tuple[int | str, ...]) -> str:
    return " × ".join(map(str, shape))
