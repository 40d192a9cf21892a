"""Reading image files: TIFF, PNG, JPEG, BMP and NPY, everything else with napari's readers."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from napari_emcad.io.images.napari_reader import read_with_napari
from napari_emcad.io.images.opened_image import ImageFileError, OpenedImage
from napari_emcad.io.images.picture import read_picture
from napari_emcad.io.images.tiff import CodecError, read_tiff

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def read_image(path: Path) -> OpenedImage:
    """Read an image file.

    Parameters
    ----------
    path
        TIFF (also OME and ImageJ), PNG, JPEG, BMP, NPY, or anything that an installed napari
        reader opens, folders such as ``.zarr`` included.

    Raises
    ------
    ImageFileError
        If the file does not exist, is damaged, or cannot be read by any reader.
    """
    if not path.exists():
        raise ImageFileError(f"{path} does not exist; check the path.")
    if not (path.is_file() or path.is_dir()):
        raise ImageFileError(f"{path} is neither a file nor a folder; name an image file.")
    kind, reader = _READERS.get("" if path.is_dir() else path.suffix.lower(), ("", None))
    if reader is None:
        return read_with_napari(path)
    try:
        return reader(path)
    except CodecError as error:  # another napari plugin may decode it
        with suppress(ImageFileError):
            return read_with_napari(path)
        raise error from None
    except (ImageFileError, MemoryError):
        raise
    except PermissionError:
        raise ImageFileError(f"{path} cannot be read: you have no permission to.") from None
    except Exception:  # noqa: BLE001  (decoders raise errors of any type for damaged files)
        raise ImageFileError(f"{path} is damaged, or not a {kind} file; copy it again.") from None


def _read_npy(path: Path) -> OpenedImage:
    return OpenedImage(np.load(path, mmap_mode="r", allow_pickle=False))


_READERS: dict[str, tuple[str, Callable[[Path], OpenedImage]]] = {
    ".tif": ("TIFF", read_tiff),
    ".tiff": ("TIFF", read_tiff),
    ".png": ("PNG", read_picture),
    ".jpg": ("JPEG", read_picture),
    ".jpeg": ("JPEG", read_picture),
    ".bmp": ("BMP", read_picture),
    ".npy": ("NPY", _read_npy),
}
"""Name of the format and reader by file name extension."""
