"""Watches the Labels layer that is painted on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Labels


class LabelsWatcher:
    """Calls a function when the selected label or the visibility of one layer changes.

    Parameters
    ----------
    changed
        Called without arguments after such a change.
    """

    def __init__(self, changed: Callable[[], Any]) -> None:
        self._changed = changed
        self._layer: Labels | None = None

    def watch(self, layer: Labels | None) -> None:
        """Watch a layer instead of the one before; None watches none."""
        if self._layer is not None:
            self._layer.events.selected_label.disconnect(self._notify)
            self._layer.events.visible.disconnect(self._notify)
        self._layer = layer
        if layer is not None:
            layer.events.selected_label.connect(self._notify)
            layer.events.visible.connect(self._notify)

    def _notify(self, _: object = None) -> None:
        self._changed()
