"""Chooses the image that the user selects in the layer list, unless the image is pinned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_emcad.plugin.layers.attention import is_inserting
from napari_emcad.plugin.layers.kinds import is_image

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_emcad.plugin.layers.image_input import ImageInput


class FollowActive:
    """Keeps the chosen image in step with the active layer of a viewer.

    Parameters
    ----------
    viewer
        Viewer of the layers.
    image_input
        The chosen image.
    """

    def __init__(self, viewer: ViewerModel, image_input: ImageInput) -> None:
        self._viewer, self._input = viewer, image_input
        viewer.layers.selection.events.active.connect(self._follow)
        image_input.pinned_changed.connect(self._follow)

    def _follow(self, _: Any = None) -> None:
        if is_inserting():  # the user has selected nothing else
            return
        active = self._viewer.layers.selection.active
        if is_image(active) and not self._input.pinned:
            self._input.set_layer(active)

    def release(self) -> None:
        """Disconnect from the viewer."""
        self._viewer.layers.selection.events.active.disconnect(self._follow)
        self._input.pinned_changed.disconnect(self._follow)
