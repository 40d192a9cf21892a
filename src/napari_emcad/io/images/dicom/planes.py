"""Where the planes of a DICOM object lie, and how their numbers are scaled."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """One frame of a file.

    Attributes
    ----------
    path, frame
        The file, and the number of the frame in it, counted from 0.
    position
        Center of the first pixel in mm, LPS; None if the file does not contain it.
    orientation
        Directions of columns and rows, six numbers; None if the file does not contain it.
    spacing
        Distance of rows and of columns in mm; None if the file does not contain it.
    depth
        Distance of neighboring planes or thickness of a plane in mm, None if unknown.
    is_thickness
        Whether `depth` is the thickness, as the file does not contain the distance.
    slope, intercept
        From stored to measured numbers.
    order
        Order among planes of the same position: time first, then the number of the image.
    instance
        Number of the image, None if the file does not contain it.
    identity
        Identity of the object (SOP instance) and frame, to find copies.
    """

    path: Path
    frame: int
    position: NDArray[np.float64] | None
    orientation: NDArray[np.float64] | None
    spacing: tuple[float, float] | None
    depth: float | None
    is_thickness: bool
    slope: float
    intercept: float
    order: tuple[float, ...]
    instance: int | None
    identity: tuple[str, int]

    @property
    def normal(self) -> NDArray[np.float64]:
        """Direction in which planes are counted."""
        assert self.orientation is not None
        return np.cross(self.orientation[:3], self.orientation[3:])


def planes_of(path: Path, dataset: Any) -> list[Plane]:
    """Return the planes of a data set, one per frame."""
    count = int(dataset.get("NumberOfFrames") or 1)
    return [_plane(path, dataset, frame) for frame in range(count)]


def is_spatial(dataset: Any) -> bool:
    """Return whether every frame of a data set has a position of its own."""
    several = int(dataset.get("NumberOfFrames") or 1) > 1
    return not several or "PerFrameFunctionalGroupsSequence" in dataset


def _plane(path: Path, dataset: Any, frame: int) -> Plane:
    groups = functional_groups(dataset, frame)

    def find(sequence: str, name: str) -> Any:
        for group in groups:
            items = group.get(sequence)
            if items and items[0].get(name) is not None:
                return items[0].get(name)
        return dataset.get(name)

    measures, content = "PixelMeasuresSequence", "FrameContentSequence"
    distance = _absolute(find(measures, "SpacingBetweenSlices"))
    thickness = _absolute(find(measures, "SliceThickness"))
    transform = "PixelValueTransformationSequence"
    instance = _number(dataset.get("InstanceNumber"))
    times = [
        find(content, "TemporalPositionIndex"),
        dataset.get("TemporalPositionIdentifier"),
        find("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"),
        dataset.get("TriggerTime"),
        instance,
        frame,
    ]
    return Plane(
        path,
        frame,
        _numbers(find("PlanePositionSequence", "ImagePositionPatient"), 3),
        _numbers(find("PlaneOrientationSequence", "ImageOrientationPatient"), 6),
        _spacing(find(measures, "PixelSpacing"), dataset),
        distance or thickness,
        distance is None,
        _number(find(transform, "RescaleSlope"), 1.0) or 1.0,
        _number(find(transform, "RescaleIntercept"), 0.0) or 0.0,
        tuple(_number(time, -1.0) or 0.0 for time in times),
        None if instance is None else int(instance),
        (str(dataset.get("SOPInstanceUID", path)), frame),
    )


def functional_groups(dataset: Any, frame: int) -> list[Any]:
    """Return the groups of attributes of a frame: its own, then those of all frames."""
    own = dataset.get("PerFrameFunctionalGroupsSequence")
    shared = dataset.get("SharedFunctionalGroupsSequence")
    return [*([own[frame]] if own and frame < len(own) else []), *([shared[0]] if shared else [])]


def _spacing(values: Any, dataset: Any) -> tuple[float, float] | None:
    for candidate in (values, dataset.get("ImagerPixelSpacing")):
        numbers = _numbers(candidate, 2)
        if numbers is not None and (numbers > 0).all():
            return float(numbers[0]), float(numbers[1])
    return None


def _numbers(values: Any, count: int) -> NDArray[np.float64] | None:
    try:
        numbers = np.array([float(value) for value in values])
    except (TypeError, ValueError):
        return None
    return numbers if numbers.shape == (count,) and np.isfinite(numbers).all() else None


def _absolute(value: Any) -> float | None:
    """Return the size of a number, which DICOM lets be negative by direction; None for 0."""
    number = _number(value)
    return abs(number) if number else None


def _number(value: Any, default: float | None = None) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return default
    return number if isfinite(number) else default


def same_orientation(planes: Sequence[Plane], tolerance: float = 0.02) -> bool:
    """Return whether all planes have an orientation, and the same one."""
    first = planes[0].orientation
    return first is not None and all(
        plane.orientation is not None and np.abs(plane.orientation - first).max() <= tolerance
        for plane in planes
    )
