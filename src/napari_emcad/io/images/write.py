"""Writing labels, probabilities and pictures."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import tifffile
from PIL import Image

from napari_emcad.io.atomic_write import open_atomic
from napari_emcad.io.images.opened_image import ImageFileError, first_line
from napari_emcad.io.images.pixel_size import PIXEL, ome_pixel_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

_OME_AXES = set("TZCYX")


def write_array(
    path: Path,
    array: NDArray[Any],
    axes: str,
    scale: Mapping[str, float] | None = None,
    unit: str = PIXEL,
) -> None:
    """Write an array as an image file, atomically.

    Parameters
    ----------
    path
        ``.tif`` or ``.tiff`` (compressed, with the axes), ``.npy``, or ``.png`` for 2-D arrays of
        uint8 or uint16, and for RGB.
    array
        Pixels to write.
    axes
        A letter per axis.
    scale, unit
        Size of a pixel by axis, as in `OpenedImage`; written to TIFF files whose axes OME defines.

    Raises
    ------
    ImageFileError
        If the extension is another one, PNG cannot store the array, or writing fails.
    """
    kind = path.suffix.lower()
    if kind not in (".tif", ".tiff", ".npy", ".png"):
        raise ImageFileError(f"{path.name}: its name must end in .tif, .png or .npy.")
    if kind == ".png":
        _check_png(path, array, axes)
    with _new_file(path) as file:
        _write_content(file, kind, array, axes, scale or {}, unit)


def write_file(path: Path, content: bytes) -> None:
    """Write a file and the folders above it, atomically.

    Raises
    ------
    ImageFileError
        If writing fails.
    """
    with _new_file(path) as file:
        file.write(content)


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that appears when the ``with`` block ends, and create the folders above it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open_atomic(path) as file:
            yield file
    except OSError as error:
        raise ImageFileError(f"{path} cannot be written: {first_line(error)}.") from None


def _write_content(
    file: BinaryIO,
    kind: str,
    array: NDArray[Any],
    axes: str,
    scale: Mapping[str, float],
    unit: str,
) -> None:
    """Write an array as it is compressed, so that one that lies on disk never is in memory."""
    if kind in (".tif", ".tiff"):
        sizes = {axis: size for axis, size in scale.items() if axis in axes}
        as_ome = bool(sizes) and set(axes) <= _OME_AXES
        metadata = {"axes": axes} | (ome_pixel_size(sizes, unit) if as_ome else {})
        tifffile.imwrite(
            file,
            array,
            photometric=_photometric(array, axes),
            metadata=metadata,
            ome=as_ome,
            compression="zlib",
        )
    elif kind == ".npy":
        np.save(file, array)
    elif kind == ".png":
        Image.fromarray(array).save(file, "PNG")


def _photometric(array: NDArray[Any], axes: str) -> str:
    """Return what pixels are to other programs: tifffile would take 3 or 4 slices for colors."""
    is_color = axes.endswith("YXC") and array.dtype == np.uint8 and array.shape[-1] in (3, 4)
    return "rgb" if is_color else "minisblack"


def _check_png(path: Path, array: NDArray[Any], axes: str) -> None:
    if axes.endswith("C"):
        fits = array.ndim == 3 and array.dtype == np.uint8 and array.shape[2] in (3, 4)
    else:
        fits = array.ndim == 2 and array.dtype in (np.uint8, np.uint16)
    if not fits:
        raise ImageFileError(
            f"{path.name}: PNG holds flat images of up to 65,535 labels; write .tif instead."
        )
