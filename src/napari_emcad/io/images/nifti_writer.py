"""Writing NIfTI and MGH volumes with nibabel, with the header of the image that they belong to."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.images.file_names import extension_of
from napari_emcad.io.images.optional_libraries import optional_library
from napari_emcad.io.images.pixel_size import in_mm

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.io.images.geometry import Geometry

_UNITS = {"mm": "mm", "µm": "micron", "m": "meter"}

_LABEL_INTENT = "label"
_LONGEST_DESCRIPTION = 79


def nifti_bytes(
    path: Path, voxels: NDArray[Any], geometry: Geometry, unit: str, classes: Sequence[str]
) -> bytes:
    """Return the content of a ``.nii`` or ``.nii.gz`` file.

    Parameters
    ----------
    path
        The file, whose extension says whether it is compressed.
    voxels
        Array in the order of the file; whole numbers are labels.
    geometry
        Geometry of the image; its header is kept if it is a NIfTI header.
    unit
        Unit of the affine matrix.
    classes
        Names of classes 1, 2, …, written into the description.
    """
    nibabel = optional_library("nibabel", path)
    header = geometry.header if hasattr(geometry.header, "get_xyzt_units") else None
    is_second = header is not None and isinstance(header, nibabel.Nifti2Header)
    image_type = nibabel.Nifti2Image if is_second else nibabel.Nifti1Image
    if header is None:
        factor = 1.0 if unit in _UNITS else in_mm(unit)
        affine = geometry.affine * np.array([[factor]] * 3 + [[1.0]])
        volume = image_type(voxels, affine)
        volume.header.set_xyzt_units(_UNITS.get(unit, "mm"))
    else:
        volume = image_type(voxels, None, _clean(image_type.header_class, header, voxels.dtype))
    is_labels = voxels.dtype.kind in "iu"
    volume.header["descrip"] = _description(is_labels, classes)
    if is_labels:
        volume.header.set_intent(_LABEL_INTENT, name="labels")
    content: bytes = volume.to_bytes()
    return gzip.compress(content, mtime=0) if extension_of(path).endswith(".gz") else content


def mgh_bytes(
    path: Path, voxels: NDArray[Any], geometry: Geometry, unit: str, classes: Sequence[str]
) -> bytes:
    """Return the content of a ``.mgz`` file; see `nifti_bytes`."""
    nibabel = optional_library("nibabel", path)
    if voxels.dtype.kind in "iu" and voxels.dtype != np.uint8:
        voxels = voxels.astype(np.int32)
    affine = geometry.affine * np.array([[in_mm(unit)]] * 3 + [[1.0]])
    content: bytes = nibabel.MGHImage(voxels, affine).to_bytes()
    return gzip.compress(content, mtime=0)


def _clean(header_class: Any, header: Any, dtype: np.dtype[Any]) -> Any:
    """Return a header without what describes the intensities of the image."""
    clean = header_class()
    for name in ("pixdim", "xyzt_units", "toffset", "dim_info", *_ORIENTATION):
        clean[name] = header[name]
    clean.set_data_dtype(dtype)
    return clean


_ORIENTATION = (
    "qform_code",
    "sform_code",
    "quatern_b",
    "quatern_c",
    "quatern_d",
    "qoffset_x",
    "qoffset_y",
    "qoffset_z",
    "srow_x",
    "srow_y",
    "srow_z",
)
"""Fields of the header that say where voxels lie, besides ``pixdim``."""


def _description(is_labels: bool, classes: Sequence[str]) -> bytes:
    """Return a description with the names of the classes, as far as there is room for them."""
    text = "napari-emcad labels" if is_labels else "napari-emcad probabilities"
    names = ", ".join(f"{number} {name}" for number, name in enumerate(classes, 1))
    if is_labels and names:
        text = f"{text}: {names}"
    return text.encode("ascii", "replace")[:_LONGEST_DESCRIPTION]
