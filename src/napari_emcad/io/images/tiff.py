"""Reading TIFF files: plain, OME and ImageJ ones, with any compression that imagecodecs decodes."""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import tifffile
from tifffile import COMPRESSION

from napari_emcad.io.images.opened_image import ImageFileError, OpenedImage
from napari_emcad.io.images.pixel_size import read_pixel_size

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_USUAL = {COMPRESSION.NONE, COMPRESSION.DEFLATE, COMPRESSION.ADOBE_DEFLATE, COMPRESSION.LZW}
_USUAL_RATIO, _LARGEST_RATIO = 2000, 100_000
"""Largest plausible ratio of pixels to file size: deflate reaches 1032, Zstandard 32,768."""

_UNKNOWN_AXES = set("QI")
"""Letters of tifffile for axes whose meaning the file does not say."""

_INCOMPLETE = re.compile("missing data|invalid page offset|failed to read|corrupt", re.IGNORECASE)
"""Warnings of tifffile about a file that lacks a part of itself."""


class CodecError(ImageFileError):
    """A TIFF has a compression that cannot be decoded here."""


def read_tiff(path: Path) -> OpenedImage:
    """Read the first image of a TIFF file; uncompressed pixels are memory-mapped.

    Raises
    ------
    CodecError
        If its compression cannot be decoded.
    ImageFileError
        If the file lacks a part of itself.
    Exception
        Of any type, raised by tifffile or imagecodecs for damaged files.
    """
    with _collect_warnings() as warnings, tifffile.TiffFile(path) as file:
        series, image_count = file.series[0], len(file.series)
        _check_ratio(path, series)
        axes = _axes_of(series.axes)
        scale, unit = read_pixel_size(file)
        has_palette = file.pages.first.photometric == tifffile.PHOTOMETRIC.PALETTE
        contiguous = series.dataoffset is not None and series.levels[0] is series
        pixels = None if contiguous else _decode(path, series)
    if incomplete := [text for text in warnings if _INCOMPLETE.search(text)]:
        raise ImageFileError(
            f"{path} lacks a part of itself ({incomplete[0]}); copy it again, with all files that "
            f"belong to it."
        )
    if pixels is None:
        pixels = tifffile.memmap(path, series=0, mode="r")
        pixels = pixels.reshape(series.shape)
    notes = [f"{path.name} holds {image_count} images; the first is used."] * (image_count > 1)
    notes += [f"{path.name} has a color palette; the numbers behind it are used."] * has_palette
    return OpenedImage(pixels, axes, None, " ".join(notes), scale, unit)


def _check_ratio(path: Path, series: tifffile.TiffPageSeries) -> None:
    """Refuse a damaged header before gigabytes are allocated for it."""
    usual = series.keyframe.compression in _USUAL
    if series.nbytes > (_USUAL_RATIO if usual else _LARGEST_RATIO) * path.stat().st_size:
        raise ValueError("more pixels than any compression fits into the file")


def _axes_of(axes: str) -> str | None:
    """Return the axes with C for channels; tifffile calls the samples of a pixel S."""
    if _UNKNOWN_AXES & set(axes) or not set("YX") <= set(axes):
        return None
    if "S" in axes and "C" in axes:
        axes = axes.replace("C", "A")
    return axes.replace("S", "C")


def _decode(path: Path, series: tifffile.TiffPageSeries) -> NDArray[Any]:
    """Return the pixels of a series; CodecError names the file if its compression is unknown."""
    try:
        pixels: NDArray[Any] = series.asarray()
    except (ValueError, NotImplementedError) as error:
        if "not supported" not in str(error) and "imagecodecs" not in str(error):
            raise
        compression = series.keyframe.compression.name
        raise CodecError(
            f"{path} cannot be read: its compression ({compression}, {series.dtype}) is not "
            f"supported; save it without compression."
        ) from None
    return pixels


@contextmanager
def _collect_warnings() -> Iterator[list[str]]:
    """Collect the warnings of tifffile within the block instead of logging them."""
    logger, handler = logging.getLogger("tifffile"), _Collector()
    propagate = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield handler.messages
    finally:
        logger.propagate = propagate
        logger.removeHandler(handler)


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage().splitlines()[0].strip())
