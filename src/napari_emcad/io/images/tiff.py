"""Reading TIFF files: plain, OME and ImageJ ones, with any compression that imagecodecs decodes."""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from math import prod
from typing import TYPE_CHECKING, Any

import tifffile
from tifffile import COMPRESSION

from napari_emcad.io.images.opened_image import ImageFileError, OpenedImage
from napari_emcad.io.images.pixel_size import read_pixel_size
from napari_emcad.io.images.pyramid import LAZY_BYTES, check_level, lazy_tiff, level_scale
from napari_emcad.io.images.tiff_values import (
    check_color_space,
    check_lossless,
    notes_on_values,
    orientation_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.io.images.read_options import ReadOptions

_USUAL = {COMPRESSION.NONE, COMPRESSION.DEFLATE, COMPRESSION.ADOBE_DEFLATE, COMPRESSION.LZW}
_USUAL_RATIO, _LARGEST_RATIO = 2000, 100_000
"""Largest plausible ratio of pixels to file size: deflate reaches 1032, Zstandard 32,768."""

SLIDE_EXTENSIONS = (
    ".svs",
    ".ndpi",
    ".scn",
    ".bif",
    ".btf",
    ".tf8",
    ".tf2",
    ".lsm",
    ".stk",
    ".qptiff",
)
"""Extensions of TIFF files of scanners and microscopes that tifffile reads."""

_UNKNOWN_AXES = set("QI")
"""Letters of tifffile for axes whose meaning the file does not say."""

_INCOMPLETE = re.compile("missing data|invalid page offset|failed to read|corrupt", re.IGNORECASE)
"""Warnings of tifffile about a file that lacks a part of itself."""


_OME_FILE = re.compile(r'FileName="([^"]+)"')


class CodecError(ImageFileError):
    """A TIFF has a compression that cannot be decoded here."""


def read_tiff(path: Path, options: ReadOptions) -> OpenedImage:
    """Read the first image of a TIFF file, or a level of a pyramid.

    Uncompressed pixels are memory-mapped, large compressed ones are read where they are needed. Of
    an OME-TIFF image in several files only the planes of this file are read.

    Raises
    ------
    CodecError
        If its compression cannot be decoded.
    ImageFileError
        If the file lacks a part of itself or the level, or its colors are not RGB.
    Exception
        Of any type, raised by tifffile or imagecodecs for damaged files.
    """
    with _collect_warnings() as warnings, tifffile.TiffFile(path, _multifile=False) as file:
        series, image_count = file.series[0], len(file.series)
        level_count = len(series.levels)
        number = check_level(path, options.level, level_count)
        level = series.levels[number]
        page = level.keyframe
        check_color_space(path, page)
        if options.as_labels:
            check_lossless(path, page)
        _check_ratio(path, level)
        axes = _axes_of(level.axes)
        scale, unit = read_pixel_size(file)
        others = _other_files(file)
        if level.dataoffset is None:
            pixels = _decode(path, level, number)
        else:
            dtype = level.dtype.newbyteorder(file.byteorder)
            pixels = file.filehandle.memmap_array(dtype, level.shape, level.dataoffset)
        if any("failed to reshape" in text for text in warnings) and _lacks_pages(file):
            warnings.append("missing data of the shape that it is said to have")
    if incomplete := [text for text in warnings if _INCOMPLETE.search(text)]:
        raise ImageFileError(
            f"{path} lacks a part of itself ({incomplete[0]}); copy it again, with all files that "
            f"belong to it."
        )
    notes = notes_on_values(path, page, level.axes)
    if image_count > 1:
        notes = (f"{path.name} holds {image_count} images; the first is used.", *notes)
    if others:
        notes += (f"{path.name} is one of {others + 1} files of an image; its planes are used.",)
    scale = level_scale(scale, series.axes, series.shape, level.shape)
    return OpenedImage(
        pixels,
        axes,
        None,
        " ".join(notes),
        scale,
        unit,
        levels=level_count,
        orientation=orientation_of(page),
    )


def _other_files(file: tifffile.TiffFile) -> int:
    """Return the number of other files that OME metadata name as parts of the image."""
    names = set(_OME_FILE.findall(file.ome_metadata or "")) if file.is_ome else set()
    return len(names - {file.filename})


def _lacks_pages(file: tifffile.TiffFile) -> bool:
    """Return whether a file of tifffile has fewer pages of the size of the first than it says."""
    page = tuple(file.pages.first.shape)
    for metadata in file.shaped_metadata or ():
        shape = tuple(metadata.get("shape", ()))
        if shape[-len(page) :] == page and prod(shape[: -len(page)]) > len(file.pages):
            return True
    return False


def _check_ratio(path: Path, series: tifffile.TiffPageSeries) -> None:
    """Refuse a damaged header before gigabytes are allocated for it."""
    ratio = _USUAL_RATIO if series.keyframe.compression in _USUAL else _LARGEST_RATIO
    most = ratio * path.stat().st_size
    if series.nbytes > most and series.nbytes * _stored_share(series) > most:
        raise ValueError("more pixels than any compression fits into the file")


def _stored_share(series: tifffile.TiffPageSeries) -> float:
    """Return the share of strips or tiles that are stored; sparse files leave out empty ones."""
    counts = [count for page in series.pages if page for count in page.databytecounts]
    stored = sum(count > 0 for count in counts)
    return float(stored / max(len(counts), 1))


def _axes_of(axes: str) -> str | None:
    """Return the axes with C for channels; tifffile calls the samples of a pixel S."""
    if _UNKNOWN_AXES & set(axes) or not set("YX") <= set(axes):
        return None
    if "S" in axes and "C" in axes:
        axes = axes.replace("C", "A")
    return axes.replace("S", "C")


def _decode(path: Path, series: tifffile.TiffPageSeries, level: int) -> Any:
    """Return the pixels of a level; CodecError names the file if its compression is unknown."""
    if series.nbytes > LAZY_BYTES:
        return lazy_tiff(path, level)
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
