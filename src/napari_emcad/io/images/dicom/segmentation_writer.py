"""Writing labels of a DICOM series as a DICOM segmentation (SEG) with highdicom."""

from __future__ import annotations

from importlib.metadata import version
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.images.dicom.dataset import quiet, read_dataset
from napari_emcad.io.images.opened_image import ImageFileError, first_line
from napari_emcad.io.images.optional_libraries import optional_library

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.io.checkpoints.classes import ClassLabel
    from napari_emcad.io.images.opened_image import OpenedImage

_NEEDED = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
)
"""Attributes without which a segmentation cannot refer to an image."""

_MAY_BE_EMPTY = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "Modality",
)
"""Attributes that a segmentation copies, and that anonymized images may lack."""

_MAKER = "napari-emcad"
_SERIES_NUMBER = 1000
_LONGEST_LABEL, _MOST_SEGMENTS = 64, 65_535
_UNICODE = "ISO_IR 192"
_TISSUE = ("85756007", "SCT", "Tissue")
"""Category and type of all segments, as class names are no codes."""

_ADVICE = "write another format, such as --format nii.gz"


def segmentation_bytes(
    path: Path, labels: NDArray[Any], image: OpenedImage, classes: Sequence[ClassLabel]
) -> bytes:
    """Return the content of a DICOM segmentation that refers to the files of its image.

    Planes without labels are not stored, as is usual. Segment *n* is label *n*, with the name and
    the color of its class.

    Parameters
    ----------
    path
        The file, for messages.
    labels
        Whole numbers from 0 in the spatial shape of the image.
    image
        An image that `napari_emcad.io.images.dicom.read` returned.
    classes
        Names and colors of labels 1, 2, …; none if the labels number objects.

    Raises
    ------
    ImageFileError
        If highdicom is not installed, the image is no DICOM series with positions, or a label
        cannot be the number of a segment.
    """
    highdicom = optional_library("highdicom", path)
    sources = source_images(path, image)
    planes = _planes(path, labels, image)
    uid = highdicom.UID
    with quiet():
        try:
            segmentation = highdicom.seg.Segmentation(
                sources,
                planes,
                "BINARY",
                _segments(highdicom, classes, int(planes.max(initial=0))),
                uid(),
                _SERIES_NUMBER,
                uid(),
                1,
                manufacturer=_MAKER,
                manufacturer_model_name=_MAKER,
                software_versions=version(_MAKER),
                device_serial_number="1",
                content_label="SEGMENTATION",
                series_description=f"{_MAKER} labels",
                specific_character_set=_UNICODE,
            )
            content = BytesIO()
            segmentation.save_as(content)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise ImageFileError(
                f"{path.name} cannot be written: highdicom refuses the image "
                f"({first_line(error)}); {_ADVICE}."
            ) from None
    return content.getvalue()


def source_images(path: Path, image: OpenedImage) -> list[Any]:
    """Return the data sets, without pixels, that a segmentation of an image refers to.

    They are in the order of the planes; an image in one file with several frames is one data set.

    Raises
    ------
    ImageFileError
        If a segmentation cannot refer to the image; the message says why and what to do.
    """
    if not image.source_planes:
        raise ImageFileError(
            f"{path.name} cannot be written: a DICOM segmentation needs a DICOM image with "
            f"positions in the patient; {_ADVICE}."
        )
    if len(image.source_planes) > 1:
        raise ImageFileError(
            f"{path.name} cannot be written: the image has {len(image.source_planes)} times, and "
            f"a DICOM segmentation has one; {_ADVICE}."
        )
    files = list(dict.fromkeys(file for file, _ in image.source_planes[0]))
    sources = [read_dataset(file, pixels=False) for file in files]
    for file, source in zip(files, sources, strict=True):
        missing = [name for name in _NEEDED if not source.get(name)]
        if missing:
            raise ImageFileError(
                f"{path.name} cannot be written: {file} has no {missing[0]}, by which a DICOM "
                f"segmentation refers to it; {_ADVICE}."
            )
        for name in _MAY_BE_EMPTY:
            setattr(source, name, source.get(name) or "")
        if "SpacingBetweenSlices" in source:  # may be wrong; highdicom takes it from the positions
            del source.SpacingBetweenSlices
        if not source.get("SliceThickness"):  # which highdicom asks for
            assert image.geometry is not None
            source.SliceThickness = f"{np.linalg.norm(image.geometry.affine[:3, 2]):.9g}"
    return sources


def _planes(path: Path, labels: NDArray[Any], image: OpenedImage) -> NDArray[Any]:
    """Return labels as planes, rows and columns of the files; of one file in its order."""
    geometry, source = image.geometry, image.source_planes[0]
    assert geometry is not None
    if labels.ndim == 2:
        labels = labels[None]
    if labels.shape != geometry.view_shape or int(labels.max(initial=0)) > _MOST_SEGMENTS:
        raise ImageFileError(
            f"{path.name} cannot be written: labels of the shape {labels.shape} up to "
            f"{labels.max(initial=0)} are no segments of the image; {_ADVICE}."
        )
    planes = np.ascontiguousarray(geometry.to_file(labels).T)
    order = [frame for _, frame in source]
    if any(order):  # the frames of one file are sorted by position
        if sorted(order) != list(range(len(order))):
            raise ImageFileError(
                f"{path.name} cannot be written: some frames of {source[0][0].name} are copies, "
                f"which a DICOM segmentation cannot leave out; {_ADVICE}."
            )
        planes = planes[np.argsort(order)]
    return planes.astype(np.min_scalar_type(int(planes.max(initial=0))))


def _segments(highdicom: Any, classes: Sequence[ClassLabel], largest: int) -> list[Any]:
    """Return descriptions of segments 1, 2, … with the names and colors of the classes."""
    names = [label.name for label in classes]
    names += [f"object {number}" for number in range(len(names) + 1, max(largest, 1) + 1)]
    code = highdicom.sr.CodedConcept(*_TISSUE)
    segments = []
    for number, name in enumerate(names, 1):
        label = name.replace("\\", "/")[:_LONGEST_LABEL]  # a backslash separates values in DICOM
        segment = highdicom.seg.SegmentDescription(number, label, code, code, "MANUAL")
        # highdicom knows automatic segments only with a code for the family of the algorithm
        segment.SegmentAlgorithmType = "AUTOMATIC"
        segment.SegmentAlgorithmName = _MAKER
        if number <= len(classes):
            color = highdicom.color.CIELabColor(*_lab(classes[number - 1].color))
            segment.RecommendedDisplayCIELabValue = list(color.value)
        segments.append(segment)
    return segments


def _lab(color: str) -> list[float]:
    """Return a color ``#rrggbb`` in CIELab, with the white point of highdicom and 3D Slicer."""
    from skimage.color import rgb2lab

    rgb = np.array([*bytes.fromhex(color[1:])]) / 255
    return [float(value) for value in rgb2lab(rgb)]
