"""Reading PNG, JPEG and BMP files with Pillow."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from napari_emcad.io.images.opened_image import ImageFileError, OpenedImage

if TYPE_CHECKING:
    from pathlib import Path

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
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                picture.load()
                palette = np.asarray(picture) if picture.mode == "P" else None
                frames = getattr(picture, "n_frames", 1)
                mode = _PLAIN_MODES.get(picture.mode)
                pixels = np.asarray(picture.convert(mode) if mode else picture)
    except Image.DecompressionBombError:
        raise ImageFileError(f"{path} is too large for a picture file; make it a TIFF.") from None
    note = f"{path.name} holds {frames} pictures; the first is used." if frames > 1 else ""
    return OpenedImage(pixels, {2: "YX", 3: "YXC"}.get(pixels.ndim), palette, note)
