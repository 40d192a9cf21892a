"""The sample images that come with the package."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any

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
