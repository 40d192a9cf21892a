"""Pixels of annotations that were copied from a prediction, and are no truth to score it with.

They are remembered for as long as the program runs, whatever layer shows them, and are autosaved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.plugin.layers.image_identity import IMAGE_IDENTITY

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_emcad.imaging.slices import Index
    from napari_emcad.plugin.annotations.pair import AnnotationPair


class CopiedPixels:
    """Copied values by annotation and slice; a pixel that is painted over no longer counts."""

    def __init__(self) -> None:
        self._planes: dict[Hashable, dict[Index, NDArray[Any]]] = {}

    def add(
        self, pair: AnnotationPair, positions: tuple[NDArray[np.intp], ...], values: NDArray[Any]
    ) -> None:
        """Add copied pixels of one slice.

        Parameters
        ----------
        pair
            Annotation.
        positions
            Positions of the pixels along its spatial axes.
        values
            Their values.
        """
        if not len(values):
            return
        axes, corner = pair.axes.replace("C", ""), pair.window.corner
        by_axis = dict(zip(axes, positions, strict=True))
        stacked = [n for n, axis in enumerate(axes) if axis not in "YX"]
        index = tuple(int(positions[n][0]) + corner[n] for n in stacked)
        sizes = dict(zip(axes, pair.values.shape, strict=True))
        planes = self._planes.setdefault(IMAGE_IDENTITY.key(pair.labels), {})
        before = planes.get(index, np.zeros((sizes["Y"], sizes["X"]), pair.labels.data.dtype))
        plane = before.copy()  # a scan may be reading the one before
        plane[by_axis["Y"], by_axis["X"]] = values
        planes[index] = plane

    def planes(self, labels: Labels) -> Mapping[Index, NDArray[Any]]:
        """Return the copied values of a layer, 0 elsewhere: a plane by index of the slice."""
        return dict(self._planes.get(IMAGE_IDENTITY.key(labels), {}))

    def restore(self, labels: Labels, planes: Mapping[Index, NDArray[Any]]) -> None:
        """Set the copied values of a layer, as `planes` returned them."""
        self._planes[IMAGE_IDENTITY.key(labels)] = dict(planes)


COPIED_PIXELS = CopiedPixels()
