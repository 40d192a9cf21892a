"""Reading DICOM data sets, and refusing those that hold no image by their name."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.images.optional_libraries import optional_library

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MAGIC, _PREAMBLE = b"DICM", 128

_FIRST_GROUPS = (b"\x02\x00", b"\x08\x00")
"""Groups of elements, little endian, that a file without a preamble begins with."""

_EXTENSIONS = (".dcm", ".dicom", ".ima", "")
"""Extensions of files that may be DICOM without a preamble."""

_REFUSED = {
    "Segmentation Storage": "it holds labels; choose an image",
    "Label Map Segmentation Storage": "it holds labels; choose an image",
    "RT Dose Storage": "choose the images that it was planned on",
    "Parametric Map Storage": "convert it to NIfTI with highdicom or dcmqi",
    "VL Whole Slide Microscopy Image Storage": "convert it to a tiled TIFF",
    "Media Storage Directory Storage": "name the folder of the images",
}
"""Kinds of objects with pixels, or lists of them, that are no images, and what to do."""


def is_dicom(path: Path) -> bool:
    """Return whether a file is DICOM by its first bytes, with or without a preamble."""
    try:
        with path.open("rb") as file:
            start = file.read(_PREAMBLE + len(_MAGIC))
    except OSError:
        return False
    if start[_PREAMBLE:] == _MAGIC:
        return True
    is_odd_name = path.suffix.lower() in _EXTENSIONS
    return is_odd_name and start[:2] in _FIRST_GROUPS and start[2:4] in _FIRST_ELEMENTS


_FIRST_ELEMENTS = {bytes((number, 0)) for number in (0, 1, 5, 6, 8, 0x10, 0x12, 0x16, 0x18)}


def read_dataset(path: Path, pixels: bool = True) -> Any:
    """Return the data set of a file, also of one without the DICOM preamble.

    Raises
    ------
    ImageFileError
        If pydicom is not installed, or the file is no DICOM file.
    """
    pydicom = optional_library("pydicom", path)
    if not is_dicom(path):
        raise ImageFileError(f"{path} is damaged, or not a DICOM file; copy it again.")
    with quiet():
        dataset = pydicom.dcmread(path, force=True, stop_before_pixels=not pixels)
        if not getattr(dataset.file_meta, "TransferSyntaxUID", None):
            implicit, little = dataset.original_encoding
            names = ("ImplicitVRLittleEndian", "ExplicitVRLittleEndian", "ExplicitVRBigEndian")
            name = names[0] if implicit else names[1] if little else names[2]
            dataset.file_meta.TransferSyntaxUID = getattr(pydicom.uid, name)
    return dataset


def check_is_image(path: Path, dataset: Any) -> None:
    """Refuse data sets without pixels, and those whose pixels are no image.

    Raises
    ------
    ImageFileError
        The message names the kind of object.
    """
    kind = kind_of(dataset)
    if kind in _REFUSED:
        raise ImageFileError(f"{path} is a DICOM object of the kind {kind}; {_REFUSED[kind]}.")
    if "MOSAIC" in (dataset.get("ImageType") or ()):
        raise ImageFileError(
            f"{path} is a mosaic of all slices in one plane; convert it to NIfTI with dcm2niix."
        )
    if "Rows" not in dataset or "Columns" not in dataset or "BitsAllocated" not in dataset:
        raise ImageFileError(
            f"{path} is a DICOM object of the kind {kind}, which holds no pixels; choose an image."
        )


def kind_of(dataset: Any) -> str:
    """Return the name of the kind of a DICOM object (its SOP class)."""
    uid = dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID")
    return str(uid.name) if uid else "unknown"


@contextmanager
def quiet() -> Iterator[None]:
    """Hide the warnings of pydicom about unusual files."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
