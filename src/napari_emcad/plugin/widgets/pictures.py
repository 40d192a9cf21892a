"""Small pictures as icons of lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtGui import QIcon, QImage, QPixmap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def picture_icon(picture: NDArray[np.uint8] | None, side: int) -> QIcon:
    """Return a picture in the middle of a square, so that the texts beside icons are aligned.

    Parameters
    ----------
    picture
        ``(H, W, 3)``, no side longer than `side`; None for an empty square.
    side
        Side of the square in pixels.
    """
    square = np.zeros((side, side, 4), np.uint8)
    if picture is not None:
        height, width = picture.shape[:2]
        y, x = (side - height) // 2, (side - width) // 2
        square[y : y + height, x : x + width, :3] = picture
        square[y : y + height, x : x + width, 3] = 255
    image = QImage(square.tobytes(), side, side, 4 * side, QImage.Format.Format_RGBA8888)
    pixels = QPixmap.fromImage(image.copy())  # which owns its pixels
    icon = QIcon(pixels)
    icon.addPixmap(pixels, QIcon.Mode.Selected)  # else it would be tinted
    return icon


def picture_pixels(picture: NDArray[np.uint8]) -> QPixmap:
    """Return a picture, ``(H, W, 3)``, for a label."""
    height, width = picture.shape[:2]
    image = QImage(picture.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
    return QPixmap.fromImage(image.copy())  # which owns its pixels


def color_stripes(colors: Sequence[str], side: int) -> NDArray[np.uint8]:
    """Return a picture of vertical stripes, for models without a picture; see `picture_icon`."""
    channels = [list(bytes.fromhex(color.removeprefix("#")[:6])) for color in colors]
    columns = np.arange(side) * len(channels) // side
    stripes: NDArray[np.uint8] = np.array(channels or [[127, 127, 127]], np.uint8)[
        columns if channels else np.zeros(side, int)
    ]
    return np.broadcast_to(stripes, (side // 2, side, 3)).copy()
