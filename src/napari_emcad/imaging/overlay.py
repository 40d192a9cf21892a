"""A segmentation drawn over its image, to be looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.segmentation import find_boundaries

from napari_emcad.imaging.intensity import Preprocessing, normalised, value_range

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_TINT = 0.25
"""Share of the class colour inside an object; its border has all of it."""

_CONTRAST = Preprocessing(intensity="percentile", low=0.5, high=99.5)


def overlay(
    planes: NDArray[Any], labels: NDArray[Any], colours: Sequence[str]
) -> NDArray[np.uint8]:
    """Return the image in its best contrast with tinted, outlined labels.

    Parameters
    ----------
    planes
        ``(C, H, W)``, any real type; three planes are red, green and blue, of others the first
        is shown in grey.
    labels
        ``(H, W)``, 0 is background.
    colours
        Of labels 1, 2, … as ``#rrggbb``; used again from the start if there are more labels.

    Returns
    -------
    ndarray
        ``(H, W, 3)`` uint8.
    """
    shown = planes if len(planes) == 3 else planes[:1]
    bright = normalised(shown, value_range(shown, _CONTRAST), _CONTRAST)
    canvas = np.broadcast_to(bright, (3, *labels.shape)).transpose(1, 2, 0) * 255.0
    palette = np.array([_channels(colour) for colour in colours])
    inside = labels > 0
    tint = palette[(labels[inside].astype(np.int64) - 1) % len(palette)]
    share = np.where(find_boundaries(labels, mode="inner")[inside], 1.0, _TINT)[:, None]
    canvas[inside] += share * (tint - canvas[inside])
    return canvas.round().astype(np.uint8)


def _channels(colour: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(colour.removeprefix("#")[:6])
    return red, green, blue
