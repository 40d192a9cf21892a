"""Draw segmentations over images, for previews and reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.segmentation import find_boundaries

from napari_emcad.imaging.intensity import Preprocessing, normalize, value_range

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_OPACITY = 0.25
"""Opacity of the class color inside an object; its border is opaque."""

_CONTRAST = Preprocessing(intensity="percentile", low=0.5, high=99.5)

CORRECT, MISSED, SPURIOUS, WRONG_CLASS = 1, 2, 3, 4
"""Labels of `compare_labels`."""


def overlay(planes: NDArray[Any], labels: NDArray[Any], colors: Sequence[str]) -> NDArray[np.uint8]:
    """Return a contrast-stretched image with tinted, outlined labels.

    Parameters
    ----------
    planes
        ``(C, H, W)``, any real type; three planes are red, green and blue, of others the first
        is shown in gray.
    labels
        ``(H, W)``, 0 is background.
    colors
        Colors of labels 1, 2, … as ``#rrggbb``, repeated if there are more labels.

    Returns
    -------
    ndarray
        ``(H, W, 3)`` uint8.
    """
    border = find_boundaries(labels, mode="inner")
    return blend_labels(_stretch(planes), labels, colors, np.where(border, 1.0, _OPACITY))


def to_rgb(planes: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a contrast-stretched image, ``(H, W, 3)``; see `overlay` for its planes."""
    return _stretch(planes).round().astype(np.uint8)


def blend_labels(
    picture: NDArray[Any],
    labels: NDArray[Any],
    colors: Sequence[str],
    opacity: NDArray[np.floating] | float = _OPACITY,
) -> NDArray[np.uint8]:
    """Return a picture with labels blended over it.

    Parameters
    ----------
    picture
        ``(H, W, 3)``, 0 … 255.
    labels, colors
        As for `overlay`.
    opacity
        Opacity of the label's color, 0 … 1; one number, or ``(H, W)``.

    Returns
    -------
    ndarray
        ``(H, W, 3)`` uint8.
    """
    canvas = picture.astype(np.float64)
    palette = np.array([_channels(color) for color in colors])
    inside = labels > 0
    tint = palette[(labels[inside].astype(np.int64) - 1) % len(palette)]
    opacities = np.broadcast_to(opacity, labels.shape)[inside][:, None]
    canvas[inside] += opacities * (tint - canvas[inside])
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
        `CORRECT`, `MISSED` (only in the truth), `SPURIOUS` (only predicted), `WRONG_CLASS`, and 0
        where both are background.
    """
    has_prediction, has_truth = predicted != 0, truth != 0
    cases = [
        has_prediction & has_truth & (predicted == truth),
        has_truth & ~has_prediction,
        has_prediction & ~has_truth,
        has_prediction,
    ]
    return np.select(cases, [CORRECT, MISSED, SPURIOUS, WRONG_CLASS], 0).astype(np.uint8)


def _stretch(planes: NDArray[Any]) -> NDArray[np.float64]:
    """Return a contrast-stretched image, ``(H, W, 3)`` in 0 … 255."""
    shown = planes if len(planes) == 3 else planes[:1]
    bright = normalize(shown, value_range(shown, _CONTRAST), _CONTRAST)
    canvas = np.broadcast_to(bright, (3, *bright.shape[1:])).transpose(1, 2, 0)
    return canvas.astype(np.float64) * 255.0


def _channels(color: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(color.removeprefix("#")[:6])
    return red, green, blue
