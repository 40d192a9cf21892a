"""Labels of DICOM segmentations whose planes are shifted against each other: tilted gantries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.images.dicom.planes import functional_groups, planes_of
from napari_emcad.io.images.dicom.stack import plane_axes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.io.images.dicom.planes import Plane

_TOLERANCE = 0.05
"""Largest difference, in distances of planes, from planes of equal distances."""


def tilted_volume(path: Path, segmentation: Any) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return labels ``(columns, rows, planes)`` and their RAS+ affine; planes may be left out.

    Parameters
    ----------
    path
        Its file.
    segmentation
        A binary segmentation, as highdicom reads it.

    Raises
    ------
    ValueError
        If it is not binary, segments overlap, or the planes have unequal distances or directions.
    """
    if segmentation.SegmentationType != "BINARY":
        raise ValueError("its planes are shifted, and it is not binary")
    planes = planes_of(path, segmentation)
    numbers, step = _places(planes)
    frames = segmentation.pixel_array.reshape(len(planes), *segmentation.pixel_array.shape[-2:])
    labels = np.zeros((numbers.max() + 1, *frames.shape[1:]), np.uint16)
    for number, frame, segment in zip(numbers, frames, _segments(segmentation), strict=True):
        if (labels[number][frame > 0] > 0).any():
            raise ValueError("its segments overlap")
        labels[number][frame > 0] = segment
    first = planes[int(np.argmin(numbers))]
    return labels.transpose(2, 1, 0), plane_axes(first, step)


def _places(planes: Sequence[Plane]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the number of each plane, and the vector from a plane to the next one."""
    positions = np.array([plane.position for plane in planes], float)
    normal = planes[0].normal
    depths = np.unique(np.round(positions @ normal, 3))
    if len(depths) < 2 or not np.isfinite(positions).all():
        raise ValueError("its planes have no positions")
    along = (positions - positions[np.argmin(positions @ normal)]) @ normal
    numbers = along / np.diff(depths).min()
    whole = np.rint(numbers).astype(int)
    step = (positions[whole.argmax()] - positions[whole.argmin()]) / whole.max()
    expected = positions[whole.argmin()] + whole[:, None] * step
    if np.abs(expected - positions).max() > _TOLERANCE * np.linalg.norm(step):
        raise ValueError("its planes have unequal distances")
    return whole, step


def _segments(segmentation: Any) -> list[int]:
    """Return the number of the segment of every frame."""
    return [_segment(segmentation, frame) for frame in range(segmentation.NumberOfFrames)]


def _segment(segmentation: Any, frame: int) -> int:
    for group in functional_groups(segmentation, frame):
        if items := group.get("SegmentIdentificationSequence"):
            return int(items[0].ReferencedSegmentNumber)
    raise ValueError("a plane is of no segment")
