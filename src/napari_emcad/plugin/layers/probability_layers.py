"""The layers of a result with the probability of every class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_emcad.plugin.layers.attention import insert_layer
from napari_emcad.plugin.layers.geometry import is_open
from napari_emcad.plugin.layers.result_layers import new_probability_layers, present_array

if TYPE_CHECKING:
    import numpy as np
    from napari.components import ViewerModel
    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_emcad.inference.events import Region
    from napari_emcad.plugin.layers.target import Target


class ProbabilityLayers:
    """Image layers that a job fills beside the labels, none without the setting.

    Parameters
    ----------
    viewer
        Viewer of the layers.

    Attributes
    ----------
    layers
        The layers of the last job.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self.layers: list[Image] = []
        self._arrays: list[NDArray[np.float32]] = []

    def begin(self, target: Target, geometry: dict[str, Any]) -> None:
        """Fill the open layers, or new ones; without the setting leave them alone."""
        if not all(is_open(self._viewer, layer) for layer in self.layers):
            self.layers = []
        if not target.settings.probabilities:
            self.layers = []
        elif not self.layers:
            self._arrays, self.layers = new_probability_layers(target, geometry)
            for layer in self.layers:
                insert_layer(self._viewer, layer)

    def fill(self, region: Region, target: Target) -> None:
        """Write the probabilities of a region, whose position is that in the result."""
        if region.probabilities is None or not self.layers:
            return
        for n, probability in enumerate(region.probabilities[-len(self.layers) :]):
            self._arrays[n] = present_array(self.layers[n], self._arrays[n], target)
            self._arrays[n][region.where] = probability
