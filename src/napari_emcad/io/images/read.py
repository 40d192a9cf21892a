"""Reading image files, everything unknown with the readers of napari plugins."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from napari_emcad.io.images.content import corrected_extension
from napari_emcad.io.images.dicom.dataset import is_dicom
from napari_emcad.io.images.dicom.read import read_dicom_file, read_dicom_folder
from napari_emcad.io.images.dicom.series import dicom_files
from napari_emcad.io.images.file_names import extension_of, is_image_folder, is_zarr
from napari_emcad.io.images.metaimage import read_metaimage
from napari_emcad.io.images.named_arrays import read_hdf5, read_npz
from napari_emcad.io.images.napari_reader import read_with_napari
from napari_emcad.io.images.nifti import read_nifti
from napari_emcad.io.images.nrrd_volume import read_nrrd
from napari_emcad.io.images.ome_zarr import read_zarr
from napari_emcad.io.images.opened_image import ImageFileError, OpenedImage
from napari_emcad.io.images.picture import read_picture
from napari_emcad.io.images.pyramid import check_level
from napari_emcad.io.images.read_options import ReadOptions
from napari_emcad.io.images.tiff import SLIDE_EXTENSIONS, CodecError, read_tiff

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


_POINTER, _LARGEST_POINTER = b"version https://git-lfs", 1024
"""First bytes of a Git LFS pointer, and a size in bytes that none has."""

_DICOM = (".dcm", ".dicom", ".ima")


def read_image(path: Path, options: ReadOptions | None = None) -> OpenedImage:
    """Read an image file.

    Parameters
    ----------
    path
        TIFF (also OME, ImageJ and slides), PNG, JPEG, JPEG 2000, BMP, GIF, WebP, Netpbm, NPY, NPZ,
        HDF5, NIfTI, MGH, Analyze, NRRD, MetaImage, DICOM (a file or the folder of a series),
        OME-Zarr, or anything that an installed napari plugin opens.
    options
        Choices where a file can be read in several ways.

    Raises
    ------
    ImageFileError
        If the file does not exist, is damaged, cannot be read by any reader, or does not have what
        `options` choose.
    """
    if not path.exists():
        raise ImageFileError(f"{path} does not exist; check the path.")
    if not (path.is_file() or path.is_dir()):
        raise ImageFileError(f"{path} is neither a file nor a folder; name an image file.")
    options = options or ReadOptions()
    check_has_series(path, options.series)
    _refuse_pointer(path)
    opened = _read(path, options)
    check_level(path, options.level, opened.levels)
    if options.plane is not None and opened.geometry is None:
        raise ImageFileError(f"{path} contains no orientation; leave out --slices {options.plane}.")
    return opened


def _refuse_pointer(path: Path) -> None:
    """Refuse the file that Git LFS leaves in the place of one that was not downloaded."""
    if path.is_file() and path.stat().st_size < _LARGEST_POINTER:
        with suppress(OSError), path.open("rb") as file:
            if file.read(len(_POINTER)) == _POINTER:
                raise ImageFileError(
                    f"{path} is a Git LFS pointer, not the image; run git lfs pull in its folder."
                )


def check_has_series(path: Path, series: str | None) -> None:
    """Refuse a series of something that is no folder of DICOM files.

    Raises
    ------
    ImageFileError
        The message names the path.
    """
    if series is not None and not (path.is_dir() and dicom_files(path)):
        raise ImageFileError(f"{path} is no folder of DICOM files; leave out --series {series}.")


def _read(path: Path, options: ReadOptions) -> OpenedImage:
    if path.is_dir():
        return _read_folder(path, options)
    extension = corrected_extension(path, extension_of(path))
    if extension in _READERS:
        kind, read = _READERS[extension]
        return _call(path, kind, lambda path: read(path, options))
    if extension in _DICOM or is_dicom(path):
        return _call(path, "DICOM", lambda path: read_dicom_file(path, options))
    return read_with_napari(path)


def _read_folder(path: Path, options: ReadOptions) -> OpenedImage:
    """Read a folder that is one image, or holds the DICOM files of one."""
    if is_zarr(path):
        return _call(path, "Zarr", lambda path: read_zarr(path, options))
    if is_image_folder(path) or not dicom_files(path):
        return read_with_napari(path)
    return _call(path, "DICOM", lambda path: read_dicom_folder(path, options))


def _call(path: Path, kind: str, reader: Callable[[Path], OpenedImage]) -> OpenedImage:
    """Call a reader, whose errors become `ImageFileError`."""
    try:
        return reader(path)
    except CodecError as error:  # another napari plugin may decode it
        with suppress(ImageFileError):
            return read_with_napari(path)
        raise error from None
    except ImageFileError as error:
        if path.name in str(error):
            raise
        raise ImageFileError(f"{path}: {error}") from None
    except MemoryError:
        raise
    except PermissionError:
        raise ImageFileError(f"{path} cannot be read: you have no permission to.") from None
    except Exception:  # noqa: BLE001  (decoders raise errors of any type for damaged files)
        raise ImageFileError(f"{path} is damaged, or not a {kind} file; copy it again.") from None


def _read_npy(path: Path, options: ReadOptions) -> OpenedImage:
    return OpenedImage(np.load(path, mmap_mode="r", allow_pickle=False))


_READERS: dict[str, tuple[str, Callable[[Path, ReadOptions], OpenedImage]]] = {
    **dict.fromkeys((".tif", ".tiff", *SLIDE_EXTENSIONS), ("TIFF", read_tiff)),
    ".png": ("PNG", read_picture),
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), ("JPEG", read_picture)),
    ".bmp": ("BMP", read_picture),
    ".gif": ("GIF", read_picture),
    ".webp": ("WebP", read_picture),
    **dict.fromkeys((".jp2", ".j2k", ".jpx", ".jpc", ".j2c"), ("JPEG 2000", read_picture)),
    **dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm", ".pfm"), ("Netpbm", read_picture)),
    **dict.fromkeys((".tga", ".pcx", ".sgi", ".bw", ".mpo"), ("picture", read_picture)),
    ".npy": ("NPY", _read_npy),
    ".nii": ("NIfTI", read_nifti),
    ".nii.gz": ("NIfTI", read_nifti),
    ".hdr": ("NIfTI or Analyze", read_nifti),
    ".hdr.gz": ("NIfTI or Analyze", read_nifti),
    ".img": ("NIfTI or Analyze", read_nifti),
    ".img.gz": ("NIfTI or Analyze", read_nifti),
    ".nrrd": ("NRRD", read_nrrd),
    ".nhdr": ("NRRD", read_nrrd),
    ".mha": ("MetaImage", read_metaimage),
    ".mhd": ("MetaImage", read_metaimage),
    ".mgz": ("MGH", read_nifti),
    ".mgh": ("MGH", read_nifti),
    ".h5": ("HDF5", read_hdf5),
    ".hdf5": ("HDF5", read_hdf5),
    ".hdf": ("HDF5", read_hdf5),
    ".npz": ("NPZ", read_npz),
}
"""Name of the format and reader by file name extension."""
