"""Writing labels, probabilities and pictures."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from PIL import Image

from napari_emcad.io.atomic_write import write_bytes
from napari_emcad.io.images.opened_image import ImageFileError, first_line
from napari_emcad.io.images.pixel_size import PIXEL, ome_pixel_size

if TYPE_CHECKING:
    from collections.abc import Mapping
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
    content = BytesIO()
    kind = path.suffix.lower()
    if kind in (".tif", ".tiff"):
        sizes = {axis: size for axis, size in (scale or {}).items() if axis in axes}
        as_ome = bool(sizes) and set(axes) <= _OME_AXES
        metadata = {"axes": axes} | (ome_pixel_size(sizes, unit) if as_ome else {})
        tifffile.imwrite(
            content,
            array,
            photometric=_photometric(array, axes),
            metadata=metadata,
            ome=as_ome,
            compression="zlib",
        )
    elif kind == ".npy":
        np.save(content, array)
    elif kind == ".png":
        _check_png(path, array, axes)
        Image.fromarray(array).save(content, "PNG")
    else:
        raise ImageFileError(f"{path.name}: its name must end in .tif, .png or .npy.")
    write_file(path, content.getvalue())


def write_file(path: Path, content: bytes) -> None:
    """Write a file and the folders above it, atomically.

    Raises
    ------
    ImageFileError
        If writing fails.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content)
    except OSError as error:
        raise ImageFileError(f"{path} cannot be written: {first_line(error)}.") from None


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
