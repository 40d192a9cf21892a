"""napari layers to our values and back, and nothing else."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.colormaps import DirectLabelColormap
from napari.utils.transforms import CompositeAffine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from napari.components import ViewerModel
    from napari.layers import Image, Labels, Layer
    from numpy.typing import NDArray

    from napari_emcad.io.checkpoints.classes import ClassLabel

_UNKNOWN_COLOR = "#ffffff"
_CHANNEL_NAMES = {"c", "ch", "channel", "channels"}


@dataclass(frozen=True, slots=True)
class AxisInfo:
    """One axis of an image layer: its name, its entries, and what it probably is.

    `role` is Y, X, C, S (a stack of slices), or "" where only the user can tell.
    """

    name: str
    size: int
    role: str


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """One resolution of an image layer: its array and how many times coarser each axis is."""

    array: Any
    coarseness: tuple[float, ...]


def unwrapped(thing: Any) -> Any:
    """Return the viewer or layer behind napari's proxy, which is not identical with it."""
    return getattr(thing, "__wrapped__", thing)


def levels(layer: Image) -> tuple[Level, ...]:
    """Return the resolutions of a layer, finest first; one for most layers."""
    arrays = list(layer.data) if layer.multiscale else [layer.data]
    finest = np.array(arrays[0].shape[: layer.ndim], float)
    return tuple(Level(a, tuple(finest / a.shape[: layer.ndim])) for a in arrays)


def axes_of(layer: Image) -> tuple[AxisInfo, ...]:
    """Return the axes of a layer as far as they can be told, without the color axis of RGB."""
    shape = levels(layer)[0].array.shape[: layer.ndim]
    names = [str(name) for name in layer.axis_labels]
    spatial = ["Y", "X"]
    leading = len(shape) - 2
    roles = [_leading_role(names[i], shape[i]) for i in range(leading)]
    if roles.count("C") > 1:
        roles = ["" if role == "C" else role for role in roles]
    return tuple(map(AxisInfo, names, shape, roles + spatial))


def _leading_role(name: str, size: int) -> str:
    """Return what a leading axis is; 2 to 4 unnamed entries might be channels or slices."""
    named = not name.startswith("-") and not name.lstrip("-").isdigit()
    if name.lower() in _CHANNEL_NAMES:
        return "C"
    return "S" if named or size == 1 or size > 4 else ""


def letters(roles: Sequence[str], rgb: bool) -> str:
    """Return axes as `napari_emcad.segment` takes them, a distinct letter for each stacked axis."""
    spare = iter("ZTSPQRUVWABDEFGHIJKLMNO")
    return "".join(next(spare) if role == "S" else role for role in roles) + "C" * rgb


def slice_index(
    viewer: ViewerModel, layer: Image, stacked: Sequence[int]
) -> tuple[int, ...] | None:
    """Return where the sliders stand along a layer's stacked axes; None if beside the image."""
    point = np.asarray(viewer.dims.point)[-layer.ndim :]
    position = np.round(np.asarray(layer.world_to_data(point))).astype(int)
    shape = levels(layer)[0].array.shape
    if any(not 0 <= position[axis] < shape[axis] for axis in stacked):
        return None
    return tuple(int(position[axis]) for axis in stacked)


def is_in_view(viewer: ViewerModel, layer: Image, plane: tuple[int, int]) -> bool:
    """Return whether some of a layer's rows and columns are on screen, in the 2-D view."""
    point = np.asarray(viewer.dims.point, float)
    displayed = list(viewer.dims.displayed)
    point[displayed] = viewer.scene.camera.center[-len(displayed) :]
    center = np.asarray(layer.world_to_data(point[-layer.ndim :]))
    shape = levels(layer)[0].array.shape
    for axis in plane:
        first, last = layer.corner_pixels[:, axis]  # napari moves them into the layer
        if first == last and shape[axis] > 1 and not -1 < center[axis] < shape[axis]:
            return False
    return True


def visible_range(layer: Image, level: Level, axis: int) -> tuple[int, int]:
    """Return the part of an axis that is on screen, as a half-open range of a level's pixels."""
    shown = levels(layer)[layer.data_level if layer.multiscale else 0].coarseness[axis]
    first, last = layer.corner_pixels[:, axis] * shown / level.coarseness[axis]
    size = level.array.shape[axis]
    start = min(max(int(np.floor(first)), 0), size - 1)
    stop = int(np.ceil(last + shown / level.coarseness[axis]))
    return start, min(max(stop, start + 1), size)


def carried_axes(axes: str) -> tuple[int, ...]:
    """Return the axes of an image that a layer on it has: all but channels that come first.

    napari lines layers up from their last axis on. A channel axis behind another one is therefore
    carried along, see `carried`; without it slices would meet the slider of the channels.

    Parameters
    ----------
    axes
        A letter per axis of the layer, without the color axis of RGB.
    """
    first = len(axes) - len(axes.lstrip("C"))
    return tuple(range(first, len(axes)))


def carried(array: NDArray[Any], axes: str, shape: Sequence[int]) -> NDArray[Any]:
    """Return spatial numbers with the channel axis that a layer carries along.

    Parameters
    ----------
    array
        Without channels.
    axes
        A letter per axis of the image layer.
    shape
        Of the image layer's array along these.

    Returns
    -------
    NDArray
        The same memory: every channel shows the same numbers, and painting one paints all.
    """
    kept = carried_axes(axes)
    if len(kept) == array.ndim:
        return array
    sizes, strides = iter(array.shape), iter(array.strides)
    held = [(shape[i], 0) if axes[i] == "C" else (next(sizes), next(strides)) for i in kept]
    wide, steps = zip(*held, strict=True)
    return np.lib.stride_tricks.as_strided(array, wide, steps, writeable=True)


def without_channels(array: Any, axes: str) -> Any:
    """Return the numbers of a layer without the channels that it carries along, as a view.

    Parameters
    ----------
    array
        Of a layer on an image.
    axes
        A letter per axis of the image layer.
    """
    kept = carried_axes(axes)
    if array.ndim != len(kept):
        return array
    return array[tuple(0 if axes[i] == "C" else slice(None) for i in kept)]


def with_channels(position: Sequence[Any], axes: str, channel: Any = 0) -> tuple[Any, ...]:
    """Return a spatial position as one of a layer that carries the channels of `axes` along."""
    spatial = iter(position)
    return tuple(channel if axes[i] == "C" else next(spatial) for i in carried_axes(axes))


def geometry(
    layer: Image,
    kept: Sequence[int],
    level: Level,
    corner: Sequence[float] = (),
    factor: Sequence[float] = (),
) -> dict[str, Any]:
    """Return where a result lies: everything spatial that a layer of it needs.

    Parameters
    ----------
    layer
        What was segmented.
    kept
        Axes of the layer that the result has; channels are dropped.
    level
        The resolution it was segmented at. A pixel of a coarse level covers several fine ones;
        its center is theirs.
    corner
        Where the center of the result's first pixel lies, in pixels of the level; () at its corner.
    factor
        How many pixels of the level each of the result's covers; () for one.
    """
    axes = list(kept)
    fine = np.array([level.coarseness[axis] for axis in axes])
    whole = CompositeAffine(layer.scale, layer.translate, rotate=layer.rotate, shear=layer.shear)
    part = whole.set_slice(axes)
    offset = (fine - 1) / 2 + fine * (np.asarray(corner) if len(corner) else 0)
    coarse = fine * (np.asarray(factor) if len(factor) else 1)
    moved = np.asarray(part.translate) + part.linear_matrix @ offset
    result = CompositeAffine(
        np.asarray(part.scale) * coarse, moved, rotate=part.rotate, shear=part.shear
    )
    return {
        "scale": result.scale,
        "translate": result.translate,
        "rotate": result.rotate,
        "shear": result.shear,
        "affine": _remainder(layer, whole, result, axes, coarse, offset),
        "units": tuple(layer.units[axis] for axis in axes),
        "axis_labels": tuple(layer.axis_labels[axis] for axis in axes),
    }


def _remainder(
    layer: Image,
    whole: CompositeAffine,
    result: CompositeAffine,
    axes: list[int],
    coarse: NDArray[np.float64],
    offset: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the affine that makes the result lie exactly on the layer.

    It is the layer's own, without dropped axes; only where a rotation or shear runs into a
    dropped axis does it differ.
    """
    affine = np.asarray(layer.affine.affine_matrix)
    world = affine @ np.asarray(whole.affine_matrix)
    rows = [*axes, -1]
    grid = np.diag([*coarse, 1.0])
    grid[:-1, -1] = offset
    wanted = world[np.ix_(rows, rows)] @ grid
    exact = wanted @ np.linalg.inv(np.asarray(result.affine_matrix))
    plain = affine[np.ix_(rows, rows)]
    return plain if np.allclose(exact, plain, rtol=1e-12, atol=1e-12) else exact


def label_colors(classes: Sequence[ClassLabel]) -> DirectLabelColormap:
    """Return the colors of classes 1, 2, … for a Labels layer."""
    colors: dict[int | None, str] = {None: _UNKNOWN_COLOR, 0: "transparent"}
    colors |= {k: each.color for k, each in enumerate(classes, start=1)}
    return DirectLabelColormap(color_dict=colors)


def class_features(classes: Sequence[ClassLabel]) -> dict[str, list[Any]]:
    """Return the names of classes, as the status bar shows them."""
    names = ["background", *(each.name for each in classes)]
    return {"index": list(range(len(names))), "class": names}


def object_features(
    classes: Sequence[ClassLabel], object_classes: Mapping[int, int]
) -> dict[str, list[Any]]:
    """Return the class name of each separated object, by its number."""
    names = ["background", *(classes[k - 1].name for k in object_classes.values())]
    return {"index": [0, *object_classes], "class": names}


def is_open(viewer: ViewerModel, layer: Layer | Labels | None) -> bool:
    """Whether a layer is still in the viewer; by identity, names change."""
    return layer is not None and any(each is layer for each in viewer.layers)


@contextmanager
def heap_put_aside() -> Iterator[None]:
    """Keep the garbage collector off what exists already.

    napari collects the whole heap with every layer that it removes, which takes 0.7 s with torch
    in it.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
