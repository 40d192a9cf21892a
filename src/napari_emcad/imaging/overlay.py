"""A segmentation drawn over its image, to be looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.segmentation import find_boundaries

from napari_emcad.imaging.intensity import Preprocessing, normalize, value_range

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_TINT = 0.25
"""Share of the class color inside an object; its border has all of it."""

_CONTRAST = Preprocessing(intensity="percentile", low=0.5, high=99.5)

CORRECT, MISSED, SPURIOUS, WRONG_CLASS = 1, 2, 3, 4
"""What `compare_labels` says of a pixel."""


def overlay(planes: NDArray[Any], labels: NDArray[Any], colors: Sequence[str]) -> NDArray[np.uint8]:
    """Return the image in its best contrast with tinted, outlined labels.

    Parameters
    ----------
    planes
        ``(C, H, W)``, any real type; three planes are red, green and blue, of others the first
        is shown in gray.
    labels
        ``(H, W)``, 0 is background.
    colors
        Of labels 1, 2, … as ``#rrggbb``; used again from the start if there are more labels.

    Returns
    -------
    ndarray
        ``(H, W, 3)`` uint8.
    """
    border = find_boundaries(labels, mode="inner")
    return blend_labels(_canvas(planes), labels, colors, np.where(border, 1.0, _TINT))


def to_rgb(planes: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the image in its best contrast, ``(H, W, 3)``; see `overlay` for its planes."""
    return _canvas(planes).round().astype(np.uint8)


def blend_labels(
    picture: NDArray[Any],
    labels: NDArray[Any],
    colors: Sequence[str],
    share: NDArray[np.floating] | float = _TINT,
) -> NDArray[np.uint8]:
    """Return a picture with labels laid over it.

    Parameters
    ----------
    picture
        ``(H, W, 3)``, 0 … 255.
    labels, colors
        As for `overlay`.
    share
        Of the label's color, 0 … 1; one number, or ``(H, W)``.

    Returns
    -------
    ndarray
        ``(H, W, 3)`` uint8.
    """
    canvas = picture.astype(np.float64)
    palette = np.array([_channels(color) for color in colors])
    inside = labels > 0
    tint = palette[(labels[inside].astype(np.int64) - 1) % len(palette)]
    shares = np.broadcast_to(share, labels.shape)[inside][:, None]
    canvas[inside] += shares * (tint - canvas[inside])
    return canvas.round().astype(np.uint8)


def compare_labels(predicted: NDArray[Any], truth: NDArray[Any]) -> NDArray[np.uint8]:
    """Return where a segmentation is right and wrong, as labels.

    Parameters
    ----------
    predicted, truth
        Class labels of one shape.

    Returns
    -------
    ndarray
        `CORRECT`, `MISSED` (only in the truth), `SPURIOUS` (only predicted), `WRONG_CLASS` (another
        class than in the truth), and 0 where neither has anything.
    """
    found, wanted = predicted != 0, truth != 0
    cases = [found & wanted & (predicted == truth), wanted & ~found, found & ~wanted, found]
    return np.select(cases, [CORRECT, MISSED, SPURIOUS, WRONG_CLASS], 0).astype(np.uint8)


def _canvas(planes: NDArray[Any]) -> NDArray[np.float64]:
    """Return the image in its best contrast, ``(H, W, 3)`` of 0 … 255."""
    seen = planes if len(planes) == 3 else planes[:1]
    bright = normalize(seen, value_range(seen, _CONTRAST), _CONTRAST)
    canvas = np.broadcast_to(bright, (3, *bright.shape[1:])).transpose(1, 2, 0)
    return canvas.astype(np.float64) * 255.0


def _channels(color: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(color.removeprefix("#")[:6])
    return red, green, blue
