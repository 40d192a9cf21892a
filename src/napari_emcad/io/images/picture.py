"""Reading PNG, JPEG, BMP, GIF, WebP and other pictures with Pillow, as far as it keeps numbers."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
from PIL import Image

from napari_emcad.io.images.opened_image import ImageFileError, OpenedImage
from napari_emcad.io.images.picture_levels import check_levels, is_deep_jpeg2000, netpbm_pictures
from napari_emcad.io.images.tiff_values import orientation_note

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.io.images.read_options import ReadOptions

_PNG = b"\x89PNG\r\n\x1a\n"
_GRAY, _SEVERAL = 0, (2, 4, 6)
"""Types of PNG with one number per pixel and with several, which follow its size and bits."""

_ORIENTATION = 274
"""EXIF tag of how to turn a picture when it is shown."""

_PLAIN_MODES = {"P": "RGB", "PA": "RGB", "LA": "L", "La": "L", "CMYK": "RGB", "YCbCr": "RGB"}
"""Pillow's modes that are converted to gray or RGB; the alpha channel of gray is dropped."""


def read_picture(path: Path, options: ReadOptions) -> OpenedImage:
    """Read the first picture of a file, its palette indices as well.

    The opacity of gray pictures is left out, but not of labels, which may lie in it. The palette of
    a GIF is left out, because programs that write GIF number the colors anew.

    Raises
    ------
    ImageFileError
        If it has more pixels than Pillow allows.
    Exception
        Of any type, raised by Pillow for damaged files.
    """
    bits, kind = _png_bits(path)
    if bits == 16 and kind in _SEVERAL:
        return _deep_png(path, options)
    if is_deep_jpeg2000(path):
        return _with_alpha_apart(imagecodecs.jpeg2k_decode(path.read_bytes()), options)
    check_levels(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                picture.load()
                has_palette = picture.mode == "P" and picture.format != "GIF"
                palette = np.asarray(picture) if has_palette else None
                frames = max(getattr(picture, "n_frames", 1), netpbm_pictures(path))
                orientation = picture.getexif().get(_ORIENTATION, 1)
                is_mask = options.as_labels and picture.mode == "LA"
                is_cmyk = picture.mode == "CMYK"
                mode = None if is_mask else _PLAIN_MODES.get(picture.mode)
                pixels = np.asarray(picture.convert(mode) if mode else picture)
    except Image.DecompressionBombError:
        raise ImageFileError(f"{path} is too large for a picture file; make it a TIFF.") from None
    if kind == _GRAY and bits in (2, 4):  # Pillow stretches them to 0 ... 255
        palette = pixels // (255 // (2**bits - 1))
    notes = [f"{path.name} holds {frames} pictures; the first is used."] * (frames > 1)
    notes += [orientation_note(path, orientation)] * (orientation != 1)
    notes += [
        f"{path.name} has CMYK colors; RGB is an approximation without their profile."
    ] * is_cmyk
    axes = {2: "YX", 3: "YXC"}.get(pixels.ndim)
    return OpenedImage(pixels, axes, palette, " ".join(notes), orientation=orientation)


def check_upright(path: Path) -> None:
    """Refuse a picture that is meant to be turned, whose outlines were drawn on the turned one.

    Raises
    ------
    ImageFileError
        The message says what to do.
    """
    try:
        with Image.open(path) as picture:
            orientation = picture.getexif().get(_ORIENTATION, 1)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return  # no picture, or its error is shown when it is read
    if orientation != 1:
        raise ImageFileError(
            f"{path} is meant to be turned or mirrored when it is shown (orientation "
            f"{orientation}), so its outlines may lie elsewhere; save it upright, as "
            f"PIL.ImageOps.exif_transpose does."
        )


def _png_bits(path: Path) -> tuple[int, int]:
    """Return bits per number and type of the pixels of a PNG; ``(0, -1)`` of other files."""
    with path.open("rb") as file:
        header = file.read(len(_PNG) + 18)
    is_png = header.startswith(_PNG) and len(header) == len(_PNG) + 18
    return (header[-2], header[-1]) if is_png else (0, -1)


def _deep_png(path: Path, options: ReadOptions) -> OpenedImage:
    """Return a PNG of 16 bits with colors or alpha, which Pillow reads as 8 bits."""
    return _with_alpha_apart(imagecodecs.png_decode(path.read_bytes()), options)


def _with_alpha_apart(pixels: NDArray[Any], options: ReadOptions) -> OpenedImage:
    """Return decoded pixels, without the opacity of gray ones if they are no labels."""
    if pixels.ndim == 2:
        return OpenedImage(pixels, "YX")
    is_gray = pixels.shape[-1] == 2 and not options.as_labels
    return OpenedImage(pixels[..., 0], "YX") if is_gray else OpenedImage(pixels, "YXC")
