"""The sample images and the pictures of the window that come with the package."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from napari_emcad.io.images.read import read_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLES = ("nuclei_dark", "nuclei_colour", "nuclei_bright")
"""Names: nuclei in fluorescence, in histology (RGB), in bright field."""


def read_sample(name: str) -> NDArray[Any]:
    """Return the pixels of a sample image, ``(H, W)`` or ``(H, W, 3)`` uint8."""
    with as_file(files("napari_emcad") / "assets" / f"{name}.png") as path:
        pixels: NDArray[Any] = read_image(path).pixels
        return pixels


def read_help_picture(kind: str) -> NDArray[np.uint8]:
    """Return the picture of a kind of stage map beside its image, ``(H, W, 3)``."""
    path = files("napari_emcad") / "assets" / "help" / f"{kind}.png"
    with path.open("rb") as file, Image.open(file) as picture:
        return np.asarray(picture.convert("RGB"))
