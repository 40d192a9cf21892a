"""A ring on the canvas around the region that is suggested."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Points

from napari_emcad.plugin.layers.attention import insert_layer
from napari_emcad.plugin.layers.geometry import is_open
from napari_emcad.plugin.layers.placement import placement
from napari_emcad.plugin.teach.navigate import pixel_position

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_emcad.interactive.suggest_ranking import SuggestedRegion
    from napari_emcad.plugin.stages.request import StageRequest

_COLOR = "#f0e442"
_WIDTH = 0.02
"""Share of the diameter."""


class RegionRing:
    """A Points layer with one hollow point, which is there while a region is suggested.

    Parameters
    ----------
    viewer
        Viewer of the image.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._layer: Points | None = None

    def show(self, request: StageRequest, region: SuggestedRegion) -> None:
        """Draw the ring around a region.

        Parameters
        ----------
        request
            Request whose image and axes the region belongs to.
        region
            Region in pixels of the image's finest level.
        """
        self.hide()
        image = request.image
        height, width = (end - start for start, end in (region.rows, region.columns))
        layer = Points(
            np.array([pixel_position(request, region, region.center)]),
            name="suggested region",
            size=math.hypot(height, width),
            face_color="transparent",
            border_color=_COLOR,
            border_width=_WIDTH,
            metadata={"napari-emcad": {"kind": "suggestion"}},
            **placement(image),
        )
        layer.editable = False
        self._layer = layer
        insert_layer(self._viewer, layer)

    def hide(self) -> None:
        """Remove the ring."""
        layer, self._layer = self._layer, None
        if layer is not None and is_open(self._viewer, layer):
            self._viewer.layers.remove(layer)
