"""The pixels of a DICOM data set, unpacked and with the colors or the gray that they stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.images.dicom.dataset import quiet
from napari_emcad.io.images.dicom.decoders import register_decoders
from napari_emcad.io.images.jpeg import jpeg_segments
from napari_emcad.io.images.opened_image import ImageFileError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_GRAY = ("MONOCHROME1", "MONOCHROME2")
_COLORS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")
_PALETTE = "PALETTE COLOR"
_JPEG_BASELINE = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")
_LOSSY = (
    *_JPEG_BASELINE,
    *(f"1.2.840.10008.1.2.4.{number}" for number in (81, 91, 111, 112, 203)),
)
"""Transfer syntaxes that change numbers or may: JPEG, and the kinds of JPEG-LS, JPEG 2000, JPEG XL
and HTJ2K that are not lossless by name."""


def check_labels(path: Path, dataset: Any) -> None:
    """Refuse labels whose numbers are inverted, or were once packed in a way that changes them.

    Raises
    ------
    ImageFileError
        The message says what to do.
    """
    if dataset.get("PhotometricInterpretation") == _GRAY[0]:
        raise ImageFileError(
            f"{path} has inverted gray (MONOCHROME1), so the numbers of its labels are not "
            f"certain; save them as NIfTI."
        )
    was_lossy = str(dataset.get("LossyImageCompression") or "") == "01"
    if was_lossy or dataset.file_meta.TransferSyntaxUID in _LOSSY:
        raise ImageFileError(
            f"{path} is packed in a way that changes labels (lossy compression); save them as a "
            f"DICOM segmentation, or as NIfTI."
        )


def decoded_frames(path: Path, dataset: Any) -> NDArray[Any]:
    """Return the stored pixels ``(frames, rows, columns)``, with a last axis for RGB.

    MONOCHROME1, in which larger numbers are darker, is inverted; of a palette the colors are
    returned. Slope and intercept are not applied.

    Raises
    ------
    ImageFileError
        If the packing or the colors are not supported; the message names them.
    """
    photometric = str(dataset.get("PhotometricInterpretation", ""))
    if photometric not in (*_GRAY, *_COLORS, _PALETTE):
        raise ImageFileError(
            f"{path} has the colors {photometric or 'of no name'}, which are not supported; "
            f"convert it to RGB or MONOCHROME2."
        )
    _check_packing(path, dataset)
    if photometric == "RGB" and _is_ycbcr_jpeg(dataset):
        dataset.PhotometricInterpretation = "YBR_FULL"
    pixels = _stored_numbers(path, dataset)
    if photometric == _PALETTE:
        pixels = _palette_colors(pixels, dataset)
    samples = 3 if photometric not in _GRAY else 1
    shape = (-1, int(dataset.Rows), int(dataset.Columns), *[3] * (samples == 3))
    frames = pixels.reshape(shape)
    return _inverted(frames, dataset) if photometric == _GRAY[0] else frames


def _check_packing(path: Path, dataset: Any) -> None:
    """Refuse a transfer syntax that no decoder unpacks."""
    from pydicom.pixels import get_decoder

    syntax = dataset.file_meta.TransferSyntaxUID
    register_decoders()
    try:
        is_available = not syntax.is_encapsulated or get_decoder(syntax).is_available
    except (NotImplementedError, ValueError):
        is_available = False
    if not is_available:
        raise ImageFileError(
            f"{path} cannot be read: its pixels are packed as {syntax.name}, which is not "
            f"supported; save it uncompressed, as dcmdjpeg and gdcmconv do."
        )


def _stored_numbers(path: Path, dataset: Any) -> NDArray[Any]:
    """Return pixels as the bits say that are stored, wherever these lie in a number.

    Bits beside the stored ones may hold an overlay, or not repeat the sign.
    """
    stored, allocated = int(dataset.get("BitsStored", 0)), int(dataset.BitsAllocated)
    shift = int(dataset.get("HighBit", stored - 1)) + 1 - stored
    is_packed = dataset.file_meta.TransferSyntaxUID.is_encapsulated
    if shift > 0 and not is_packed and allocated in (8, 16, 32):
        dataset.BitsStored = stored + shift
        pixels = _unpack(path, dataset) >> shift
        dataset.BitsStored = stored
        return pixels
    pixels = _unpack(path, dataset)
    unused = 8 * pixels.dtype.itemsize - stored
    is_signed = pixels.dtype.kind == "i" and 0 < stored < allocated
    return (pixels << unused) >> unused if is_packed and is_signed else pixels


def _unpack(path: Path, dataset: Any) -> NDArray[Any]:
    from pydicom.pixels import pixel_array

    try:
        with quiet():
            pixels: NDArray[Any] = pixel_array(dataset)
    except RuntimeError as error:
        if "unable to decode" not in str(error).lower():
            raise
        name = dataset.file_meta.TransferSyntaxUID.name
        raise ImageFileError(
            f"{path} cannot be read: its pixels ({name}) are damaged or packed in an unusual way; "
            f"copy it again, or save it uncompressed."
        ) from None
    return pixels


def _is_ycbcr_jpeg(dataset: Any) -> bool:
    """Return whether frames named RGB are in YCbCr: JPEGs that say so, or that thin out colors."""
    from pydicom.encaps import generate_frames

    if dataset.file_meta.TransferSyntaxUID not in _JPEG_BASELINE:
        return False
    count = int(dataset.get("NumberOfFrames") or 1)
    frame = next(iter(generate_frames(dataset.PixelData, number_of_frames=count)))
    segments = jpeg_segments(frame)
    header = next((segments[marker] for marker in (0xC0, 0xC1, 0xC2) if marker in segments), b"")
    if len(header) < 15:
        return False
    identifiers, sampling = header[6:15:3], header[7:15:3]
    if segments.get(0xEE, b"").startswith(b"Adobe") or identifiers == b"RGB":
        return False
    return len(set(sampling)) > 1 or segments.get(0xE0, b"").startswith(b"JFIF")


def _palette_colors(pixels: NDArray[Any], dataset: Any) -> NDArray[Any]:
    """Return the colors of palette indices, as uint8 where 16 bits only repeat 8."""
    from pydicom.pixels import apply_color_lut

    with quiet():
        colors: NDArray[Any] = apply_color_lut(pixels, dataset)
    if colors.dtype == np.uint16 and not ((colors % 257).any() and (colors % 256).any()):
        return (colors >> 8).astype(np.uint8)
    return colors


def _inverted(frames: NDArray[Any], dataset: Any) -> NDArray[Any]:
    """Return the frames with black and white exchanged, in the range of the stored bits."""
    is_signed = int(dataset.get("PixelRepresentation", 0)) == 1
    total = -1 if is_signed else 2 ** int(dataset.BitsStored) - 1
    return (total - frames.astype(np.int64)).astype(frames.dtype)
