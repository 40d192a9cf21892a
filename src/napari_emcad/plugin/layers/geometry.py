"""Reads napari layers, and computes where a result layer lies."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.transforms import CompositeAffine

from napari_emcad.imaging.axes import small_last_axes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari.components import ViewerModel
    from napari.layers import Image, Labels, Layer
    from numpy.typing import NDArray

_CHANNEL_NAMES = {"c", "ch", "channel", "channels"}
_STACK_LETTERS = "ZTSPQRUVWABDEFGHIJKLMNO"


@dataclass(frozen=True, slots=True)
class AxisInfo:
    """One axis of an image layer.

    Attributes
    ----------
    name
        Label of the axis in napari.
    size
        Number of entries along the axis.
    role
        Y, X, C, S (a stack of slices), or "" if only the user can decide.
    """

    name: str
    size: int
    role: str


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """One resolution of an image layer.

    Attributes
    ----------
    array
        Array of the level.
    downsampling
        Factor of each axis relative to the finest level; 1 for the finest level.
    """

    array: Any
    downsampling: tuple[float, ...]


def unwrap(proxy: Any) -> Any:
    """Return the viewer or layer behind napari's public proxy, to compare it by identity."""
    return getattr(proxy, "__wrapped__", proxy)


def levels(layer: Image) -> tuple[Level, ...]:
    """Return the resolutions of a layer, finest first; most layers have one."""
    arrays = list(layer.data) if layer.multiscale else [layer.data]
    finest = np.array(arrays[0].shape[: layer.ndim], float)
    return tuple(Level(a, tuple(finest / a.shape[: layer.ndim])) for a in arrays)


def axes_of(layer: Image) -> tuple[AxisInfo, ...]:
    """Return the axes of a layer with guessed roles, without the color axis of RGB images."""
    shape = levels(layer)[0].array.shape[: layer.ndim]
    names = [str(name) for name in layer.axis_labels]
    unknown = 0 if layer.rgb or _is_named(names[-1]) else small_last_axes(shape)
    stacked = len(shape) - 2 - unknown
    roles = [_leading_role(names[i], shape[i]) for i in range(stacked)]
    if roles.count("C") > 1:
        roles = ["" if role == "C" else role for role in roles]
    return tuple(map(AxisInfo, names, shape, [*roles, "Y", "X", *[""] * unknown]))


def _is_named(name: str) -> bool:
    """Return whether an axis has a name of its own; napari's own names are numbers."""
    return not name.startswith("-") and not name.lstrip("-").isdigit()


def _leading_role(name: str, size: int) -> str:
    """Return the role of a leading axis; 2 to 4 unnamed entries may be channels or slices."""
    if name.lower() in _CHANNEL_NAMES:
        return "C"
    return "S" if _is_named(name) or size == 1 or size > 4 else ""


def axes_string(roles: Sequence[str], rgb: bool) -> str:
    """Return axes for `napari_emcad.segment`, with a distinct letter for each stacked axis."""
    spare = iter(_STACK_LETTERS)
    return "".join(next(spare) if role == "S" else role for role in roles) + "C" * rgb


def layer_geometry(
    layer: Image,
    axes: Sequence[int],
    level: Level,
    corner: Sequence[float] = (),
    factor: Sequence[float] = (),
) -> dict[str, Any]:
    """Return the spatial arguments of a result layer: scale, translation, units and so on.

    Parameters
    ----------
    layer
        Source image.
    axes
        Axes of the source that the result has; other axes are dropped.
    level
        Resolution of the source. A pixel of a coarse level covers several fine ones, and has the
        same center.
    corner
        Center of the result's first pixel, in pixels of the level; () is the level's corner.
    factor
        Size of the result's pixels in pixels of the level; () is 1.
    """
    kept = list(axes)
    fine = np.array([level.downsampling[axis] for axis in kept])
    source = CompositeAffine(layer.scale, layer.translate, rotate=layer.rotate, shear=layer.shear)
    part = source.set_slice(kept)
    offset = (fine - 1) / 2 + fine * (np.asarray(corner) if len(corner) else 0)
    coarse = fine * (np.asarray(factor) if len(factor) else 1)
    translate = np.asarray(part.translate) + part.linear_matrix @ offset
    result = CompositeAffine(
        np.asarray(part.scale) * coarse, translate, rotate=part.rotate, shear=part.shear
    )
    return {
        "scale": result.scale,
        "translate": result.translate,
        "rotate": result.rotate,
        "shear": result.shear,
        "affine": _residual_affine(layer, source, result, kept, coarse, offset),
        "units": tuple(layer.units[axis] for axis in kept),
        "axis_labels": tuple(layer.axis_labels[axis] for axis in kept),
    }


def _residual_affine(
    layer: Image,
    source: CompositeAffine,
    result: CompositeAffine,
    axes: list[int],
    coarse: NDArray[np.float64],
    offset: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the affine matrix that makes the result lie exactly on the layer.

    It is the layer's own matrix without dropped axes, unless a rotation or shear involves a
    dropped axis.
    """
    affine = np.asarray(layer.affine.affine_matrix)
    world = affine @ np.asarray(source.affine_matrix)
    rows = [*axes, -1]
    grid = np.diag([*coarse, 1.0])
    grid[:-1, -1] = offset
    wanted = world[np.ix_(rows, rows)] @ grid
    exact = wanted @ np.linalg.inv(np.asarray(result.affine_matrix))
    plain = affine[np.ix_(rows, rows)]
    return plain if np.allclose(exact, plain, rtol=1e-12, atol=1e-12) else exact


def is_open(viewer: ViewerModel, layer: Layer | Labels | None) -> bool:
    """Return whether a layer is still in the viewer; by identity, since names change."""
    return layer is not None and any(other is layer for other in viewer.layers)


@contextmanager
def freeze_heap() -> Iterator[None]:
    """Exclude all present objects from garbage collection while a layer is removed.

    napari collects garbage whenever it removes a layer, which takes 0.7 s once torch is loaded.
    A heap that the program itself has frozen is left as it is.
    """
    if gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
