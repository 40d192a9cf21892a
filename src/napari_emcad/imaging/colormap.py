"""Map numbers to colors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SEQUENTIAL = (
    "#440154",
    "#472d7b",
    "#3b528b",
    "#2c728e",
    "#21918c",
    "#28ae80",
    "#5ec962",
    "#addc30",
    "#fde725",
)
"""From low to high with uniformly rising lightness (viridis)."""

DIVERGING = ("#2166ac", "#67a9cf", "#d1e5f0", "#f7f7f7", "#fddbc7", "#ef8a62", "#b2182b")
"""From negative, blue, over 0, white, to positive, red (RdBu of ColorBrewer)."""


def apply_colormap(
    values: NDArray[np.floating], limits: tuple[float, float], stops: Sequence[str]
) -> NDArray[np.uint8]:
    """Return colors ``(…, 3)`` uint8.

    Parameters
    ----------
    values
        Any shape.
    limits
        Values of the first and the last color, the first below the last; values outside get the
        nearer one.
    stops
        Evenly spaced colors as ``#rrggbb``.
    """
    low, high = limits
    position = np.clip((values - low) / (high - low), 0, 1)
    table = np.array([tuple(bytes.fromhex(stop[1:])) for stop in stops], float)
    positions = np.linspace(0, 1, len(stops))
    channels = [np.interp(position, positions, column) for column in table.T]
    return np.stack(channels, axis=-1).round().astype(np.uint8)
