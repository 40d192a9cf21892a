"""Makes and updates the napari layer of a map."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from napari.utils.colormaps import Colormap

from napari_emcad.plugin.layers.geometry import layer_geometry
from napari_emcad.plugin.widgets.helpers import shorten

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_emcad.inference.stage_maps.keys import MapKey, StageMap
    from napari_emcad.plugin.stages.request import StageRequest

    Placed = tuple[NDArray[np.float32], dict[str, Any]]

_DIVERGING = Colormap(
    ["#2166ac", "#92c5de", "#f7f7f7", "#f4a582", "#b2182b"], name="blue white red"
)
_TITLE_SIZE = 7
"""Size of the font of a map's title; larger ones do not fit into four columns."""

_NAME_LETTERS = 16
"""Most letters of an image's name in a layer name, so that the name of the map is visible."""


@dataclass(slots=True, eq=False)
class MapLayer:
    """The layer of a map, and what the plugin has set on it.

    Attributes
    ----------
    image
        Image of the map.
    key
        Key of the map.
    layer
        Layer of the map.
    geometry, limits, name
        Spatial arguments, contrast limits and name as the plugin has set them; the user may have
        changed them since.
    """

    image: weakref.ref[Image]
    key: MapKey
    layer: Image
    geometry: dict[str, Any]
    limits: tuple[float, float]
    name: str


def new_map_layer(
    request: StageRequest, stage_map: StageMap, data: NDArray[Any], geometry: dict[str, Any]
) -> MapLayer:
    """Return a new layer that shows a stage map; it is not in the viewer yet.

    Parameters
    ----------
    request
        The request that the map was computed for.
    stage_map
        The stage map.
    data, geometry
        Data and spatial arguments of the layer, see `place_map`.
    """
    key = stage_map.key
    colors: dict[str, Any] = {"rgb": True}
    if not key.is_rgb:
        colormap = _DIVERGING if stage_map.diverging else key.spec.colormap
        colors = {"colormap": colormap, "contrast_limits": stage_map.limits, "rgb": False}
    layer = Image(
        data,
        name=_layer_name(request, key),
        metadata={"napari-emcad": _provenance(request, key)},
        interpolation2d="nearest",
        interpolation3d="nearest",
        **colors,
        **geometry,
    )
    title = layer.name_overlay  # shown at once: in a grid every later change draws all maps again
    title.font_size, title.box, title.visible = _TITLE_SIZE, True, True
    image = weakref.ref(request.image)
    return MapLayer(image, key, layer, geometry, stage_map.limits, layer.name)


def update_map_layer(
    map_layer: MapLayer,
    request: StageRequest,
    stage_map: StageMap,
    data: NDArray[Any],
    geometry: dict[str, Any],
) -> None:
    """Show other data in the layer of a map; names and limits that the user has set stay.

    The parameters are those of `new_map_layer`.
    """
    layer = map_layer.layer
    limits_unchanged = np.allclose(layer.contrast_limits, map_layer.limits)
    layer.metadata["napari-emcad"] = _provenance(request, stage_map.key)
    for name, value in geometry.items():
        if not np.array_equal(map_layer.geometry[name], value):
            setattr(layer, name, value)
    layer.data = data
    if layer.name == map_layer.name:  # the image may have been renamed
        layer.name = map_layer.name = _layer_name(request, stage_map.key)
    if limits_unchanged and not stage_map.key.is_rgb:
        low, high = stage_map.limits
        layer.contrast_limits_range = (low, high)
        layer.contrast_limits = (low, high)
    map_layer.geometry, map_layer.limits = geometry, stage_map.limits


def place_map(request: StageRequest, stage_map: StageMap) -> Placed:
    """Return the data of a map's layer, and the spatial arguments that put it on its slice.

    The data have all axes of the image except leading channels, since napari aligns layers from
    the last axis on. Stacked axes have one entry, and channels share the same values.

    Parameters
    ----------
    request
        Request of the map.
    stage_map
        The map, at its own resolution.

    Raises
    ------
    ValueError
        If the map has no position on the image, such as channel attention.
    """
    if stage_map.factor is None or stage_map.offset is None:
        raise ValueError(f"{stage_map.key} has no place on the image.")
    letters = request.axes[: request.image.ndim]
    first = len(letters) - len(letters.lstrip("C"))
    values, index = stage_map.values, iter(request.index)
    if stage_map.key.is_rgb:
        values = np.moveaxis(values, 0, -1)
    planes = zip(values.shape, stage_map.factor, stage_map.offset, strict=False)
    axes: list[tuple[int, int, float, float]] = []  # stored size, layer size, factor, corner
    for axis, letter in enumerate(letters[first:], start=first):
        if letter in "YX":
            size, factor, corner = next(planes)
            axes.append((size, size, factor, corner))
        elif letter == "C":
            axes.append((1, request.slices.image.shape[axis], 1.0, 0.0))
        else:
            axes.append((1, 1, 1.0, next(index)))
    stored, shape, factors, corners = (list(column) for column in zip(*axes, strict=True))
    colors = values.shape[2:]
    data = np.broadcast_to(values.reshape((*stored, *colors)), (*shape, *colors))
    kept = range(first, len(letters))
    return data, layer_geometry(request.image, kept, request.level, corners, factors)


def _layer_name(request: StageRequest, key: MapKey) -> str:
    """Return the name of a map's layer, such as "gate · stage 3 · nuclei".

    It is the title of the map on the canvas, of which the end may be cut off.
    """
    title: str = key.spec.title
    if key.spec.group == "class" and request.class_name:
        title += f" of {shorten(request.class_name, _NAME_LETTERS)}"
    if key.spec.group == "features":
        title = key.spec.label
        title += "" if key.part is None else f" channel {key.part}"
    stage = [] if key.stage is None else [f"stage {key.stage}"]
    return " · ".join([title, *stage, shorten(request.name, _NAME_LETTERS) or "image"])


def _provenance(request: StageRequest, key: MapKey) -> dict[str, Any]:
    checkpoint = request.checkpoint
    return {
        "kind": "map",
        "map": str(key),
        "slice": request.index,
        "model": checkpoint.title,
        "sha256": checkpoint.origin.sha256,
    }
