"""Shows some layers alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_emcad.plugin.layers.attention import show_layer
from napari_emcad.plugin.layers.geometry import unwrap

if TYPE_CHECKING:
    from collections.abc import Collection

    from napari.components import ViewerModel
    from napari.layers import Layer


def show_alone(viewer: ViewerModel, layers: Collection[Layer]) -> None:
    """Show layers of a viewer, hide all others, and fit those that are shown to the canvas."""
    for layer in viewer.layers:
        show_layer(unwrap(layer), unwrap(layer) in layers)
    viewer.reset_view(layers=list(layers), reset_camera_angle=False)
