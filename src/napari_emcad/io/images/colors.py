"""The different colors of a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Color = tuple[int, int, int]

_LISTED = 8
"""Most colors that a message lists."""


def color_codes(picture: NDArray[Any]) -> NDArray[np.int32]:
    """Return a number for the color of each pixel of a picture ``(..., 3 or 4)`` of bytes."""
    red, green, blue = np.moveaxis(picture[..., :3].astype(np.int32), -1, 0)
    codes: NDArray[np.int32] = (red << 16) | (green << 8) | blue
    return codes


def color_code(color: Color) -> int:
    """Return the number of one color."""
    return (color[0] << 16) | (color[1] << 8) | color[2]


def list_colors(codes: Iterable[int]) -> str:
    """Return colors as text, such as "(0, 0, 0), (255, 0, 0) and 3 more"."""
    listed = [f"({code >> 16}, {code >> 8 & 255}, {code & 255})" for code in codes]
    more = f" and {len(listed) - _LISTED:,} more" if len(listed) > _LISTED else ""
    return ", ".join(listed[:_LISTED]) + more
