"""The map layers of a viewer: shown, sorted, arranged in a grid and removed."""

from __future__ import annotations

import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

from napari_emcad.plugin.layers.attention import insert_layer
from napari_emcad.plugin.layers.geometry import freeze_heap, is_open
from napari_emcad.plugin.stages.fast_grid import enable_grid, set_visible
from napari_emcad.plugin.stages.map_layer import new_map_layer, place_map, update_map_layer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_emcad.inference.stage_maps.keys import MapKey, StageMap
    from napari_emcad.plugin.stages.map_layer import MapLayer
    from napari_emcad.plugin.stages.request import StageRequest

_COLUMNS = 4
_REMOVAL_MS = 20
"""Pause between the removal of two layers, in which the window is drawn."""

_SPACING = 4
"""Pixels between the maps of a grid."""

_GRID_FIELDS = ("stride", "shape", "spacing", "enabled")


class StageLayers:
    """The map layers of one viewer, to which it holds only a weak reference."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = weakref.proxy(viewer)
        self._maps: list[MapLayer] = []
        self._being_removed: list[Image] = []
        self._grid_before: dict[str, Any] | None = None
        self._suspended = False

    @property
    def layers(self) -> list[Image]:
        """Open map layers."""
        return [map_layer.layer for map_layer in self._open_maps()]

    def show(self, request: StageRequest, stage_map: StageMap) -> None:
        """Show a map in its layer, or in a new one."""
        data, geometry = place_map(request, stage_map)
        map_layer = self._find(request.image, stage_map.key)
        if map_layer is not None and map_layer.layer.data.ndim != data.ndim:
            self._remove([map_layer])
            map_layer = None
        if map_layer is None:
            self._add(request, new_map_layer(request, stage_map, data, geometry))
        else:
            update_map_layer(map_layer, request, stage_map, data, geometry)

    def keep_only(self, image: Image, keys: Sequence[MapKey]) -> None:
        """Remove all maps of an image except those with the given keys."""
        self._remove([m for m in self._open_maps() if m.image() is image and m.key not in keys])

    def sort(self, request: StageRequest) -> None:
        """Sort the maps of an image in the layer list."""
        layers, order = self._viewer.layers, list(request.shown)
        maps = [m for m in self._open_maps() if m.image() is request.image and m.key in order]
        wanted = [m.layer for m in sorted(maps, key=lambda m: order.index(m.key))]
        rows = sorted(layers.index(layer) for layer in wanted)
        if [layers[row] for row in rows] == wanted:
            return
        for row, layer in zip(rows, wanted, strict=True):
            if layers[row] is not layer:
                layers.move(layers.index(layer), row)

    def remove_all(self) -> None:
        """Remove all maps, and restore the user's grid."""
        self.side_by_side(False)
        self._remove(self._open_maps())

    # -- the grid

    @property
    def is_grid(self) -> bool:
        """Whether maps are side by side; napari's own grid button may have ended it."""
        return self._grid_before is not None and (
            self._viewer.canvas.grid.enabled or bool(self._being_removed) or self._suspended
        )

    def side_by_side(self, on: bool) -> None:
        """Show image and maps in a grid, or one map on the image."""
        grid = self._viewer.canvas.grid
        if on and not self.is_grid:
            if not self._grid_before:
                self._grid_before = {name: getattr(grid, name) for name in _GRID_FIELDS}
            set_visible(dict.fromkeys(self.layers, True), arrange=grid.enabled)
            self._arrange()
            self._viewer.reset_view()
        elif not on and self._grid_before is not None:
            # Disabled first: every change of an enabled grid draws it again.
            for name in reversed(_GRID_FIELDS):
                setattr(grid, name, self._grid_before[name])
            self._grid_before, self._suspended = None, False
            self._show_one()
            self._viewer.reset_view()

    def arrange(self) -> None:
        """Fit the grid to the visible layers, if maps are side by side."""
        if self.is_grid and not self._being_removed:  # else the last removal arranges them
            self._arrange()

    def _arrange(self) -> None:
        cells = sum(layer.visible for layer in self._viewer.layers)
        grid = self._viewer.canvas.grid
        wanted = {"stride": 1, "shape": (-1, min(_COLUMNS, max(cells, 1))), "spacing": _SPACING}
        if grid.enabled and any(getattr(grid, name) != value for name, value in wanted.items()):
            grid.enabled = False  # every change of an enabled grid draws it again
        if not grid.enabled:
            enable_grid(grid, **wanted)
        self._suspended = False

    def _show_one(self) -> None:
        """Hide all maps except the selected one, or else the finest probability."""
        layers, chosen = self.layers, self._viewer.layers.selection.active
        if layers and not any(layer is chosen for layer in layers):
            chosen = max(self._open_maps(), key=lambda m: _priority(m.key)).layer
        set_visible({layer: layer is chosen for layer in layers})

    # -- adding and removing

    def _open_maps(self) -> list[MapLayer]:
        self._maps = [m for m in self._maps if is_open(self._viewer, m.layer)]
        return list(self._maps)

    def _find(self, image: Image, key: MapKey) -> MapLayer | None:
        maps = (m for m in self._open_maps() if m.image() is image and m.key == key)
        return next(maps, None)

    def _add(self, request: StageRequest, map_layer: MapLayer) -> None:
        """Add a layer above the image and preceding maps; the user's selection stays."""
        best = max(request.shown, key=_priority)
        any_visible = any(layer.visible for layer in self.layers)
        if self.is_grid:  # every layer that is added to an enabled grid draws all of it again
            self._viewer.canvas.grid.enabled, self._suspended = False, True
        map_layer.layer.visible = self.is_grid or (map_layer.key == best and not any_visible)
        row = self._row_of_new(request, map_layer.key)
        insert_layer(self._viewer, map_layer.layer, row)
        self._maps.append(map_layer)

    def _row_of_new(self, request: StageRequest, key: MapKey) -> int:
        """Return the row in the layer list that keeps maps in their order."""
        layers, order = self._viewer.layers, list(request.shown)
        preceding = order[: order.index(key)] if key in order else order
        maps = [m for m in self._open_maps() if m.image() is request.image]
        below = [request.image, *(m.layer for m in maps if m.key in preceding)]
        rows: list[int] = [layers.index(layer) for layer in below if is_open(self._viewer, layer)]
        return 1 + max(rows)

    def _remove(self, maps: Sequence[MapLayer]) -> None:
        """Hide maps, and remove their layers one by one.

        Removing many drawn layers at once may crash OpenGL drivers.
        """
        self._maps = [m for m in self._maps if m not in maps]
        idle = not self._being_removed
        self._being_removed += [m.layer for m in maps]
        if not self._being_removed:
            return
        self._viewer.canvas.grid.enabled = False  # every removal would draw it again
        set_visible({map_layer.layer: False for map_layer in maps})
        if idle:
            QTimer.singleShot(_REMOVAL_MS, self._remove_next)

    def _remove_next(self) -> None:
        with suppress(ReferenceError):  # the viewer was deleted
            layer = self._being_removed.pop(0)
            if is_open(self._viewer, layer):
                with freeze_heap():
                    self._viewer.layers.remove(layer)
            if self._being_removed:
                QTimer.singleShot(_REMOVAL_MS, self._remove_next)
            elif self._grid_before is not None:
                self._arrange()


def _priority(key: MapKey) -> tuple[bool, int]:
    """Return a sort key whose maximum is the map to show alone: the finest probability."""
    return key.kind == "probability", -(key.stage or 5)
