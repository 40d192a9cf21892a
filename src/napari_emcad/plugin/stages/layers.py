"""Layers of a network's maps: made, updated in place, arranged, removed; the user's are left be."""

from __future__ import annotations

import weakref
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from napari.utils.colormaps import Colormap
from qtpy.QtCore import QTimer

from napari_emcad.plugin.layers.geometry import freeze_heap, is_open, layer_geometry
from napari_emcad.plugin.widgets.helpers import shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from numpy.typing import NDArray

    from napari_emcad.inference.stage_maps.keys import MapKey, StageMap
    from napari_emcad.plugin.stages.request import StageRequest

_SIGNED = Colormap(["#2166ac", "#92c5de", "#f7f7f7", "#f4a582", "#b2182b"], name="blue white red")
_COLUMNS = 4
_NAME = 16
"""Letters of an image's name, so that a map's own is still seen in the layer list."""

_APART_MS = 20
"""Between two layers that are removed, so that the window is drawn in between."""

_SPACING = 4
"""Pixels between maps that are side by side."""


@dataclass(slots=True, eq=False)
class _Held:
    """A layer of ours; `limits` and `name` are those that we gave it."""

    image: weakref.ref[Image]
    key: MapKey
    layer: Image
    place: dict[str, Any]
    limits: tuple[float, float]
    name: str


class StageLayers:
    """The maps of one viewer, which may go away before them."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = weakref.proxy(viewer)
        self._held: list[_Held] = []
        self._leaving: list[Image] = []
        self._grid: dict[str, Any] | None = None

    @property
    def layers(self) -> list[Image]:
        """Our layers that are open."""
        return [each.layer for each in self._open()]

    def show(self, request: StageRequest, found: StageMap) -> None:
        """Show a map in its layer: the one it had before, or a new one."""
        data, place = placed_map(request, found)
        held = self._find(request.image, found.key)
        if held is not None and held.layer.data.ndim != data.ndim:
            self._remove([held])
            held = None
        if held is None:
            self._add(request, found, data, place)
        else:
            _update(held, request, found, data, place)

    def keep_only(self, image: Image, keys: Sequence[MapKey]) -> None:
        """Remove the maps of an image that are not wanted any more."""
        open_ones = self._open()
        self._remove([e for e in open_ones if e.image() is image and e.key not in keys])

    def sort(self, request: StageRequest) -> None:
        """Bring the maps of an image into their order above it."""
        layers, order = self._viewer.layers, list(request.shown)
        held = [each for each in self._open() if each.image() is request.image]
        wanted = sorted((e for e in held if e.key in order), key=lambda e: order.index(e.key))
        places = sorted(layers.index(each.layer) for each in wanted)
        if [layers[place] for place in places] == [each.layer for each in wanted]:
            return
        for place, each in zip(places, wanted, strict=True):
            if layers[place] is not each.layer:
                layers.move(layers.index(each.layer), place)

    def remove_all(self) -> None:
        """Remove every map, and leave the grid."""
        self.side_by_side(False)
        self._remove(self._open())

    @property
    def is_grid(self) -> bool:
        """Whether maps are side by side; napari's own button may have ended it."""
        return self._grid is not None and (self._viewer.canvas.grid.enabled or bool(self._leaving))

    def side_by_side(self, on: bool) -> None:
        """Put the image and its maps into a grid, or show one map on the image."""
        if on and not self.is_grid:
            grid = self._viewer.canvas.grid
            self._grid = self._grid or {name: getattr(grid, name) for name in _GRID}
            for layer in self.layers:
                layer.visible = True
            self._arrange()
            self._viewer.reset_view()
        elif not on and self._grid is not None:
            for name in reversed(_GRID):  # what is changed in a grid that is on is drawn anew
                setattr(self._viewer.canvas.grid, name, self._grid[name])
            self._grid = None
            self._show_one()
            self._viewer.reset_view()

    def arrange(self) -> None:
        """Make the grid suit what is visible, if maps are side by side."""
        if self.is_grid and not self._leaving:  # the last one that leaves does it
            self._arrange()

    def _arrange(self) -> None:
        cells = sum(layer.visible for layer in self._viewer.layers)
        grid = self._viewer.canvas.grid
        grid.stride, grid.shape = 1, (-1, min(_COLUMNS, max(cells, 1)))
        grid.spacing, grid.enabled = _SPACING, True

    def _show_one(self) -> None:
        """Hide all but the map that is selected, or else the best one."""
        layers, chosen = self.layers, self._viewer.layers.selection.active
        if layers and not any(each is chosen for each in layers):
            chosen = max(self._open(), key=lambda each: _worth(each.key)).layer
        for each in layers:
            each.visible = each is chosen

    def _any_visible(self) -> bool:
        return any(layer.visible for layer in self.layers)

    def _open(self) -> list[_Held]:
        self._held = [each for each in self._held if is_open(self._viewer, each.layer)]
        return list(self._held)

    def _find(self, image: Image, key: MapKey) -> _Held | None:
        found = [each for each in self._open() if each.image() is image and each.key == key]
        return found[0] if found else None

    def _remove(self, held: Sequence[_Held]) -> None:
        """Hide maps, and take them out of the viewer one by one; they are ours no longer.

        A window that draws many layers and loses them all at once may crash in OpenGL.
        """
        self._held = [each for each in self._held if each not in held]
        idle = not self._leaving
        self._leaving += [each.layer for each in held]
        if not self._leaving:
            return
        self._viewer.canvas.grid.enabled = False  # it would be made anew with each of them
        for each in held:
            each.layer.visible = False
        if idle:
            QTimer.singleShot(_APART_MS, self._remove_next)

    def _remove_next(self) -> None:
        with suppress(ReferenceError):  # the viewer has gone
            layer = self._leaving.pop(0)
            if is_open(self._viewer, layer):
                with freeze_heap():
                    self._viewer.layers.remove(layer)
            if self._leaving:
                QTimer.singleShot(_APART_MS, self._remove_next)
            elif self._grid is not None:
                self._arrange()

    def _add(
        self, request: StageRequest, found: StageMap, data: NDArray[Any], place: dict[str, Any]
    ) -> None:
        """Add a layer above the image and the maps before it; the user's selection stays."""
        layer = _new_layer(request, found, data, place)
        best = max(request.shown, key=_worth)
        layer.visible = self.is_grid or (found.key == best and not self._any_visible())
        held = _Held(weakref.ref(request.image), found.key, layer, place, found.limits, layer.name)
        layers = self._viewer.layers
        selected, active = set(layers.selection), layers.selection.active
        layers.insert(self._above(request, found.key), layer)
        layers.selection = selected
        layers.selection.active = active
        self._held.append(held)

    def _above(self, request: StageRequest, key: MapKey) -> int:
        """Return the place in the list that keeps maps in their order."""
        layers, order = self._viewer.layers, list(request.shown)
        ours = [each for each in self._open() if each.image() is request.image]
        before = order[: order.index(key)] if key in order else order
        below = [request.image, *(each.layer for each in ours if each.key in before)]
        places: list[int] = [layers.index(each) for each in below if is_open(self._viewer, each)]
        return 1 + max(places)


_GRID = ("stride", "shape", "spacing", "enabled")


def _new_layer(
    request: StageRequest, found: StageMap, data: NDArray[Any], place: dict[str, Any]
) -> Image:
    colors: dict[str, Any] = {"rgb": True}
    if not found.key.is_rgb:
        colors = {"colormap": _colors(found), "contrast_limits": found.limits, "rgb": False}
    return Image(
        data,
        name=name_of(request, found.key),
        metadata={"napari-emcad": _provenance(request, found.key)},
        interpolation2d="nearest",
        interpolation3d="nearest",
        **colors,
        **place,
    )


def _update(
    held: _Held, request: StageRequest, found: StageMap, data: NDArray[Any], place: dict[str, Any]
) -> None:
    layer, ours = held.layer, np.allclose(held.layer.contrast_limits, held.limits)
    layer.metadata["napari-emcad"] = _provenance(request, found.key)
    for name, value in place.items():
        if not np.array_equal(held.place[name], value):
            setattr(layer, name, value)
    layer.data = data
    if layer.name == held.name:  # the image may have another one by now
        layer.name = held.name = name_of(request, found.key)
    if ours and not found.key.is_rgb:
        low, high = found.limits
        layer.contrast_limits_range = (low, high)
        layer.contrast_limits = (low, high)
    held.place, held.limits = place, found.limits


def _colors(found: StageMap) -> Any:
    return _SIGNED if found.diverging else found.key.spec.colormap


def name_of(request: StageRequest, key: MapKey) -> str:
    """Return the name of a map's layer, such as “nuclei · stage 3 · gate”."""
    words: str = key.spec.title
    if key.spec.group == "class" and request.class_name:
        words += f" of {shorten(request.class_name, _NAME)}"
    if key.spec.group == "features":
        words = key.spec.label
        words += "" if key.part is None else f" channel {key.part}"
    stage = [] if key.stage is None else [f"stage {key.stage}"]
    return " · ".join([shorten(request.name, _NAME) or "image", *stage, words])


def _provenance(request: StageRequest, key: MapKey) -> dict[str, Any]:
    checkpoint = request.checkpoint
    return {
        "kind": "map",
        "map": str(key),
        "slice": request.index,
        "model": checkpoint.title,
        "sha256": checkpoint.origin.sha256,
    }


def _worth(key: MapKey) -> tuple[bool, int]:
    """Return what decides which map is seen alone: the finest probability."""
    return key.kind == "probability", -(key.stage or 5)


def placed_map(
    request: StageRequest, found: StageMap
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """Return a map as a layer's data, and where it lies: on its slice, at its own resolution.

    The data have the image's axes from the first that is no channel on, since napari counts axes
    from the last one: one entry along stacked axes, and along channels the same for each.
    """
    if found.factor is None or found.offset is None:
        raise ValueError(f"{found.key} has no place on the image.")
    letters = request.axes[: request.image.ndim]
    first = len(letters) - len(letters.lstrip("C"))
    values, index = found.values, iter(request.index)
    if found.key.is_rgb:
        values = np.moveaxis(values, 0, -1)
    planes = zip(values.shape, found.factor, found.offset, strict=False)
    axes: list[tuple[int, int, float, float]] = []
    for axis, letter in enumerate(letters[first:], start=first):
        if letter in "YX":
            size, factor, corner = next(planes)
            axes.append((size, size, factor, corner))
        elif letter == "C":
            axes.append((1, request.slices.image.shape[axis], 1.0, 0.0))
        else:
            axes.append((1, 1, 1.0, next(index)))
    held, shape, factors, corners = (list(each) for each in zip(*axes, strict=True))
    colors = values.shape[2:]
    data = np.broadcast_to(values.reshape((*held, *colors)), (*shape, *colors))
    kept = range(first, len(letters))
    return data, layer_geometry(request.image, kept, request.level, corners, factors)
