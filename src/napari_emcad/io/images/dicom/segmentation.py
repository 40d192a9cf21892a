"""Reading DICOM segmentations (SEG) as labels with highdicom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.images.dicom.dataset import quiet
from napari_emcad.io.images.dicom.tilted_segmentation import tilted_volume
from napari_emcad.io.images.geometry import acquired_geometry, sliced_geometry
from napari_emcad.io.images.opened_image import ImageFileError, OpenedImage
from napari_emcad.io.images.optional_libraries import optional_library

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.io.images.read_options import ReadOptions

_KINDS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""UIDs of segmentations and of label map segmentations."""

_UNEVEN = "regularly-spaced"
"""Words of highdicom's error about planes that are shifted against each other."""

_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Turns DICOM's coordinates into RAS+."""


def is_segmentation(dataset: Any) -> bool:
    """Return whether a DICOM object is a segmentation."""
    return dataset.get("SOPClassUID") in _KINDS


def read_segmentation(path: Path, options: ReadOptions) -> OpenedImage:
    """Read the segments of a file as labels, whose numbers are those of the segments.

    Planes without a segment need not be stored; the labels then cover fewer planes than the image.

    Raises
    ------
    ImageFileError
        If highdicom is not installed, segments overlap, or they are no volume.
    """
    highdicom = optional_library("highdicom", path)
    with quiet():
        segmentation = highdicom.seg.segread(path)
        try:
            voxels, affine = _volume(path, segmentation)
        except (RuntimeError, ValueError) as error:
            raise ImageFileError(
                f"{path} cannot be read as labels ({str(error).splitlines()[0].rstrip('.')}); "
                f"convert its segments one by one to NIfTI with dcmqi."
            ) from None
        names = [
            f"{segmentation.get_segment_description(number).segment_label} = {number}"
            for number in segmentation.segment_numbers
        ]
    geometry = (
        acquired_geometry(affine, voxels.shape)
        if options.plane is None
        else sliced_geometry(affine, voxels.shape, options.plane)
    )
    labels = geometry.to_view(voxels)
    note = f"{path.name} has the segments {', '.join(names)}."
    return OpenedImage(labels, "ZYX", None, note, geometry.scale, "mm", geometry, is_labels=True)


def _volume(path: Path, segmentation: Any) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return labels ``(columns, rows, planes)`` and their RAS+ affine.

    Raises
    ------
    RuntimeError, ValueError
        If segments overlap, or the planes are no volume.
    """
    try:
        volume = segmentation.get_volume(combine_segments=True)
    except RuntimeError as error:
        if _UNEVEN not in str(error):
            raise
        return tilted_volume(path, segmentation)
    affine = _LPS @ volume.affine[:, [2, 1, 0, 3]]
    return volume.array.transpose(2, 1, 0), affine
