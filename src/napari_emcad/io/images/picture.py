"""Reading PNG, JPEG, BMP, GIF and WebP files with Pillow."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import imagecodecs
import numpy as np
from PIL import Image

from napari_emcad.io.images.opened_image import ImageFileError, OpenedImage
from napari_emcad.io.images.tiff_values import orientation_note

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_COLOR = (2, 6)
"""Color types of PNG with and without alpha; type and bits follow the size in its first chunk."""

_ORIENTATION = 274
"""EXIF tag of how to turn a picture when it is shown."""

_PLAIN_MODES = {"P": "RGB", "PA": "RGB", "LA": "L", "La": "L", "CMYK": "RGB", "YCbCr": "RGB"}
"""Pillow's modes that are converted to gray or RGB; the alpha channel of gray is dropped."""


def read_picture(path: Path) -> OpenedImage:
    """Read the first picture of a file, its palette indices as well.

    Raises
    ------
    ImageFileError
        If it has more pixels than Pillow allows.
    Exception
        Of any type, raised by Pillow for damaged files.
    """
    if (deep := _deep_color_png(path)) is not None:
        return OpenedImage(deep, "YXC")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                picture.load()
                palette = np.asarray(picture) if picture.mode == "P" else None
                frames = getattr(picture, "n_frames", 1)
                orientation = picture.getexif().get(_ORIENTATION, 1)
                mode = _PLAIN_MODES.get(picture.mode)
                pixels = np.asarray(picture.convert(mode) if mode else picture)
    except Image.DecompressionBombError:
        raise ImageFileError(f"{path} is too large for a picture file; make it a TIFF.") from None
    notes = [f"{path.name} holds {frames} pictures; the first is used."] * (frames > 1)
    notes += [orientation_note(path, orientation)] * (orientation != 1)
    return OpenedImage(pixels, {2: "YX", 3: "YXC"}.get(pixels.ndim), palette, " ".join(notes))


def _deep_color_png(path: Path) -> NDArray[np.uint16] | None:
    """Return the pixels of a color PNG of 16 bits, which Pillow reads as 8 bits, or None."""
    with path.open("rb") as file:
        header = file.read(len(_PNG) + 18)
    if not header.startswith(_PNG) or header[-2] != 16 or header[-1] not in _PNG_COLOR:
        return None
    pixels: NDArray[np.uint16] = imagecodecs.png_decode(path.read_bytes())
    return pixels
