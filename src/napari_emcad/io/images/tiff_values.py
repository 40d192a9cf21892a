"""What the numbers of a TIFF file stand for: gray, RGB, or something that is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tifffile import COMPRESSION, PHOTOMETRIC, PLANARCONFIG

from napari_emcad.io.images.lossy import is_lossy_jpeg, is_lossy_jpeg2000, is_lossy_webp
from napari_emcad.io.images.opened_image import ImageFileError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tifffile import TiffPage

_OTHER_SPACES = {
    PHOTOMETRIC.SEPARATED: "CMYK colors",
    PHOTOMETRIC.YCBCR: "YCbCr colors",
    PHOTOMETRIC.CIELAB: "CIELab colors",
    PHOTOMETRIC.ICCLAB: "ICC Lab colors",
    PHOTOMETRIC.ITULAB: "ITU Lab colors",
    PHOTOMETRIC.CFA: "the raw mosaic of a color camera",
    PHOTOMETRIC.LOGL: "logarithmic luminance (LogL)",
    PHOTOMETRIC.LOGLUV: "logarithmic colors (LogLuv)",
}
"""Numbers that are neither gray nor RGB, nor turned into them by tifffile."""

_DECODED_TO_RGB = {COMPRESSION.JPEG, COMPRESSION.OJPEG, COMPRESSION.JPEG_LOSSY}
"""Compressions whose decoder turns YCbCr into RGB."""

_UPRIGHT = 1
"""The orientation whose first row is the top and whose first column is the left side."""


def check_color_space(path: Path, page: TiffPage) -> None:
    """Refuse numbers that are neither gray nor RGB.

    Raises
    ------
    ImageFileError
        The message names the color space and what to do.
    """
    space = _OTHER_SPACES.get(page.photometric)
    if page.compression == COMPRESSION.APERIO_JP2000_YCBC:  # called RGB by some of its files
        space = _OTHER_SPACES[PHOTOMETRIC.YCBCR]
    decoded = page.photometric == PHOTOMETRIC.YCBCR and page.compression in _DECODED_TO_RGB
    if space is not None and not decoded:
        raise ImageFileError(f"{path} has {space}; save it as gray or RGB.")


def check_lossless(path: Path, page: TiffPage) -> None:
    """Refuse labels whose compression changes numbers.

    Raises
    ------
    ImageFileError
        The message names the compression and what to do.
    """
    offsets = [
        offset for offset, size in zip(page.dataoffsets, page.databytecounts, strict=True) if size
    ]
    if not offsets or page.compression not in _MAY_BE_LOSSY:
        return
    handle = page.parent.filehandle
    handle.seek(offsets[0])
    if _MAY_BE_LOSSY[page.compression](handle.read(_HEADER)):
        name = COMPRESSION(page.compression).name
        raise ImageFileError(
            f"{path} is packed as {name}, which changes labels; save them as a TIFF without "
            f"compression, or packed with Deflate or LZW."
        )


def _always(start: bytes) -> bool:
    return True


_HEADER = 4096
"""Bytes of a tile that contain the header of its compression."""

_MAY_BE_LOSSY: dict[int, Callable[[bytes], bool]] = {
    COMPRESSION.JPEG: is_lossy_jpeg,
    COMPRESSION.OJPEG: is_lossy_jpeg,
    COMPRESSION.ALT_JPEG: is_lossy_jpeg,
    COMPRESSION.JPEG_LOSSY: is_lossy_jpeg,
    COMPRESSION.JPEG2000: is_lossy_jpeg2000,
    COMPRESSION.JPEG_2000_LOSSY: _always,
    COMPRESSION.APERIO_JP2000_YCBC: _always,
    COMPRESSION.APERIO_JP2000_RGB: is_lossy_jpeg2000,
    COMPRESSION.WEBP: is_lossy_webp,
    **dict.fromkeys((COMPRESSION.JPEGXL, COMPRESSION.JPEGXL_DNG), _always),
    **dict.fromkeys((COMPRESSION.JPEGXR, COMPRESSION.JPEGXR_NDPI, COMPRESSION.LERC), _always),
    COMPRESSION.JETRAW: _always,
}
"""Whether the first bytes of a tile are those of a compression that changes numbers, or may."""


def notes_on_values(path: Path, page: TiffPage, axes: str) -> tuple[str, ...]:
    """Return notes about what a file says of its pixels that their numbers do not show.

    Numbers, rows and columns are used as they are stored, whatever the compression: napari shows
    them so, and tifffile stores even the True of a mask as black. `axes` are those of tifffile, in
    which S are the samples of a pixel.
    """
    notes = []
    if page.photometric == PHOTOMETRIC.MINISWHITE:
        notes.append(f"{path.name} stores white as 0; its numbers are used as they are stored.")
    if page.photometric == PHOTOMETRIC.PALETTE:
        notes.append(f"{path.name} has a color palette; the numbers behind it are used.")
    are_planes = page.planarconfig == PLANARCONFIG.SEPARATE and "S" in axes
    if page.photometric == PHOTOMETRIC.RGB and are_planes:
        notes.append(f"{path.name} has three planes as red, green, blue; slices need --axes ZYX.")
    orientation = orientation_of(page)
    if orientation != _UPRIGHT:
        notes.append(orientation_note(path, orientation))
    return tuple(notes)


def orientation_of(page: TiffPage) -> int:
    """Return how a page is to be turned or mirrored when it is shown, 1 if it is upright."""
    orientation: int = page.tags.valueof("Orientation", _UPRIGHT)
    return orientation


def orientation_note(path: Path, orientation: int) -> str:
    """Return the note that an image is meant to be turned or mirrored, by its TIFF or EXIF tag."""
    return (
        f"{path.name} is meant to be turned or mirrored when it is shown (orientation "
        f"{orientation}); rows and columns are used as they are stored, as in napari."
    )
