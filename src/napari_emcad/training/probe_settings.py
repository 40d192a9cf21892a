"""How a probe looks at images, chosen by the width of the strokes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_THIN = 4.0
"""Median width of strokes in pixels below which structures are thin."""


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """Settings of a probe.

    Attributes
    ----------
    zoom
        Factor by which images are enlarged.
    ridge
        Ridge penalty per annotated pixel.
    weights
        Weights of the feature maps, as in `feature_maps`: pixels twice, then strides 4 to 32. A
        small one makes a map's coefficients more expensive than those of others.
    """

    zoom: float = 1.0
    ridge: float = 2.25e-3
    weights: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0)


GENERAL = ProbeSettings()

FINE = ProbeSettings(2.0, 7.5e-3, (1.0, 1.0, 1.0, 0.3, 0.3, 0.3))
"""For small objects and texture; beside `GENERAL`, as it is worse on large ones."""

THIN = replace(FINE, ridge=2.25e-3)
"""For vessels, membranes and cracks: deep maps are too coarse; see docs/benchmarks.md."""


def choose_settings(targets: Sequence[NDArray[np.integer]]) -> ProbeSettings:
    """Return `THIN` if most strokes are narrower than `_THIN` pixels, else `GENERAL`.

    Parameters
    ----------
    targets
        ``(H, W)`` per slice: classes, 0 for the background, `UNLABELED` elsewhere.
    """
    widths = [width for target in targets for width in stroke_widths(target)]
    return THIN if widths and float(np.median(widths)) < _THIN else GENERAL


def choose_views(targets: Sequence[NDArray[np.integer]]) -> tuple[ProbeSettings, ...]:
    """Return the settings of the probes whose probabilities are averaged, the fastest first.

    Parameters
    ----------
    targets
        As for `choose_settings`.
    """
    chosen = choose_settings(targets)
    return (GENERAL, FINE) if chosen is GENERAL else (chosen,)


def stroke_widths(target: NDArray[np.integer]) -> list[float]:
    """Return the widths in pixels of all connected areas of the foreground classes.

    The width of an area is its largest inscribed disc's diameter.
    """
    widths: list[float] = []
    for k in np.unique(target[target > 0]):
        areas, count = ndimage.label(target == k, np.ones((3, 3)))
        for number, box in enumerate(ndimage.find_objects(areas, count), 1):
            inside = np.pad(areas[box] == number, 1)  # the border of the image is one of the area
            widths.append(2 * float(ndimage.distance_transform_edt(inside).max()) - 1)
    return widths
