"""TIFF files: OME and ImageJ ones too, whatever they are compressed with, and incomplete ones."""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from PIL import Image

from napari_emcad.io.images.opened import ImageFileError, OpenedImage
from napari_emcad.io.images.pixel_size import read_pixel_size

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_MOST_PACKED = 2000
"""Times a compressed TIFF may grow; zlib reaches 1032."""

_NOT_KNOWN = set("QI")
"""What tifffile calls axes of which the file does not say what they are."""

_LACKING = re.compile("missing data|invalid page offset|failed to read|corrupt", re.IGNORECASE)
"""What tifffile remarks on a file that lacks a part of itself."""


class CodecError(ImageFileError):
    """A TIFF is packed in a way that nothing installed here unpacks."""


def read_tiff(path: Path) -> OpenedImage:
    """Read the first image of a TIFF; what is not packed stays in the file.

    Raises
    ------
    CodecError
        If nothing here unpacks it.
    ImageFileError
        If it lacks a part of itself.
    Exception
        Whatever tifffile raises at damaged bytes.
    """
    with _remarks() as remarks, tifffile.TiffFile(path) as file:
        series, several = file.series[0], len(file.series)
        if series.nbytes > _MOST_PACKED * path.stat().st_size:
            raise ValueError("more pixels than any compression fits into the file")
        axes = _axes_of(series.axes)
        scale, unit = read_pixel_size(file)
        numbered = file.pages.first.photometric == tifffile.PHOTOMETRIC.PALETTE
        mapped = series.dataoffset is not None and series.levels[0] is series
        pixels = None if mapped else _decoded(path, series)
    if lacking := [each for each in remarks if _LACKING.search(each)]:
        raise ImageFileError(
            f"{path} lacks a part of itself ({lacking[0]}); copy it again, with all files that "
            f"belong to it."
        )
    if pixels is None:
        pixels = tifffile.memmap(path, series=0, mode="r")
        pixels = pixels.reshape(series.shape)
    notes = [f"{path.name} holds {several} images; the first is taken."] * (several > 1)
    notes += [f"{path.name} shows its numbers in colors; the numbers are taken."] * numbered
    return OpenedImage(pixels, axes, None, " ".join(notes), scale, unit)


def _axes_of(axes: str) -> str | None:
    """Return tifffile's letters as ours: S are the samples of a pixel, channels to us."""
    if _NOT_KNOWN & set(axes) or not set("YX") <= set(axes):
        return None
    if "S" in axes and "C" in axes:
        axes = axes.replace("C", "A")
    return axes.replace("S", "C")


def _decoded(path: Path, series: tifffile.TiffPageSeries) -> NDArray[Any]:
    try:
        pixels: NDArray[Any] = series.asarray()
    except (ValueError, NotImplementedError) as error:
        if "imagecodecs" not in str(error):
            raise
        return _decoded_by_pillow(path, series)
    return pixels


def _decoded_by_pillow(path: Path, series: tifffile.TiffPageSeries) -> NDArray[Any]:
    """Unpack what tifffile alone cannot: LZW, JPEG and fax, of the usual kinds of pixels."""
    try:
        with Image.open(path) as picture:
            planes = []
            for page in series.pages:
                picture.seek(page.index)
                planes.append(np.asarray(picture))
        pixels = np.stack(planes).reshape(series.shape)
    except Exception:  # noqa: BLE001  (a decoder may raise anything)
        pixels = None
    if pixels is None or pixels.dtype != series.dtype:
        packed = series.keyframe.compression.name
        raise CodecError(
            f"{path} is packed in a way that cannot be read here ({packed}, {series.dtype}); save "
            f"it without compression, or install imagecodecs with pip."
        )
    return pixels


@contextmanager
def _remarks() -> Iterator[list[str]]:
    """Gather what tifffile would write to the log."""
    log, gathered = logging.getLogger("tifffile"), _Gathering()
    before = log.propagate
    log.addHandler(gathered)
    log.propagate = False
    try:
        yield gathered.said
    finally:
        log.propagate = before
        log.removeHandler(gathered)


class _Gathering(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage().splitlines()[0].strip())
