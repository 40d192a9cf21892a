"""Planes of a DICOM series in the order of their positions, and the geometry of the volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_emcad.io.images.dicom.planes import Plane, same_orientation
from napari_emcad.io.images.opened_image import ImageFileError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_SAME_PLACE = 0.01
"""Distance in mm between planes that lie at the same place."""

_UNEQUAL = 0.02
"""Relative difference between the largest and the smallest distance that counts as equal."""


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """Planes in order.

    Attributes
    ----------
    planes
        Times × positions.
    affine
        Matrix ``(4, 4)`` from column, row and plane to RAS+ coordinates in mm; None if unknown.
    notes
        What is unusual about the planes.
    is_even
        Whether the planes have equal distances.
    """

    planes: tuple[tuple[Plane, ...], ...]
    affine: NDArray[np.float64] | None
    notes: tuple[str, ...]
    is_even: bool = True


def stack_planes(name: str, planes: Sequence[Plane]) -> Stack:
    """Sort planes by position.

    Raises
    ------
    ImageFileError
        If their order is not known, they lie in different directions or beside each other, or some
        positions have more planes than others.
    """
    unique = tuple({plane.identity: plane for plane in planes}.values())
    copies = len(planes) - len(unique)
    notes = [f"{copies} planes are copies and were left out"] * (copies > 0)
    if any(plane.position is None or plane.orientation is None for plane in unique):
        return _by_instance(name, unique, notes)
    if not same_orientation(unique):
        raise ImageFileError(
            f"{name} has planes of different directions; put those of one direction into a folder."
        )
    positions = _by_position(name, unique)
    rows = tuple(zip(*positions, strict=True))
    if len(rows) > 1:
        notes.append(f"every position has {len(rows)} planes, which are taken as times")
    affine, spacing_notes, is_even = _affine(rows[0])
    return Stack(rows, affine, tuple(notes + spacing_notes), is_even)


def _by_instance(name: str, planes: Sequence[Plane], notes: list[str]) -> Stack:
    """Return planes without positions, in the order of their numbers."""
    if len(planes) == 1:
        return Stack(((planes[0],),), None, tuple(notes))
    numbers = [plane.instance for plane in planes]
    if None in numbers or len(set(numbers)) < len(numbers):
        raise ImageFileError(
            f"{name} has planes without positions and without numbers, so that their order is not "
            f"known; segment the files one by one."
        )
    ordered = tuple(sorted(planes, key=lambda plane: plane.instance or 0))
    note = "the planes have no positions and are in the order of their numbers"
    return Stack((ordered,), None, (*notes, note))


def _by_position(name: str, planes: Sequence[Plane]) -> list[list[Plane]]:
    """Return the planes of every position, sorted along the normal, then by time."""
    normal = planes[0].normal
    places = [float(np.dot(plane.position, normal)) for plane in planes]  # type: ignore[arg-type]
    order = np.argsort(places, kind="stable")
    positions: list[list[Plane]] = []
    last = -np.inf
    for number in order.tolist():
        if places[number] - last > _SAME_PLACE:
            positions.append([])
            last = places[number]
        positions[-1].append(planes[number])
    for group in positions:
        shifts = np.ptp([plane.position for plane in group], axis=0)  # type: ignore[arg-type]
        if shifts.max() > _SAME_PLACE * 10:
            raise ImageFileError(
                f"{name} has planes that lie beside each other; put those of one place into a "
                f"folder."
            )
        group.sort(key=lambda plane: plane.order)
    counts = sorted({len(group) for group in positions})
    if len(counts) > 1:
        raise ImageFileError(
            f"{name} has {counts[0]} planes at some positions and {counts[-1]} at others, so that "
            f"they are no volume; put the files of one volume into a folder."
        )
    return positions


def _affine(planes: Sequence[Plane]) -> tuple[NDArray[np.float64] | None, list[str], bool]:
    """Return the RAS+ affine of planes in order, notes, and whether their distances are equal."""
    first = planes[0]
    if first.spacing is None or first.orientation is None or first.position is None:
        return None, ["the size of a pixel is not known"], True
    step, notes = _step(planes)
    is_even = not notes
    tilt = np.dot(step, first.normal) / np.linalg.norm(step)
    if len(planes) > 1 and tilt < 1 - 1e-4:
        notes.append("the planes are shifted against each other, as by a tilted gantry")
    return plane_axes(first, step), notes, is_even


def plane_axes(first: Plane, step: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the RAS+ affine of planes that begin with one and follow in equal steps (LPS).

    Raises
    ------
    ValueError
        If the first plane has no position, orientation or spacing.
    """
    if first.spacing is None or first.orientation is None or first.position is None:
        raise ValueError("a plane has no position, orientation or spacing")
    affine: NDArray[np.float64] = np.eye(4)
    affine[:3, 0] = first.orientation[:3] * first.spacing[1]
    affine[:3, 1] = first.orientation[3:] * first.spacing[0]
    affine[:3, 2] = step
    affine[:3, 3] = first.position
    in_ras: NDArray[np.float64] = affine * np.array([-1.0, -1.0, 1.0, 1.0])[:, None]
    return in_ras


def _step(planes: Sequence[Plane]) -> tuple[NDArray[np.float64], list[str]]:
    """Return the vector from a plane to the next one, and a note if the distances differ."""
    first, normal = planes[0], planes[0].normal
    if len(planes) == 1:
        return normal * (first.depth or 1.0), []
    positions = np.array([plane.position for plane in planes])
    distances = np.diff(positions @ normal)
    usual = float(np.median(distances))
    mean = (positions[-1] - positions[0]) / (len(planes) - 1)
    if np.ptp(distances) <= _UNEQUAL * usual + _SAME_PLACE:
        return mean, []
    missing = np.rint(distances / usual) - 1
    is_gap = np.abs(distances - (missing + 1) * usual).max() <= _UNEQUAL * usual + _SAME_PLACE
    text = (
        f"{int(missing.sum())} planes seem to be missing between the others"
        if is_gap
        else f"the planes are {distances.min():.3g} to {distances.max():.3g} mm apart"
    )
    return mean * (usual / float(np.dot(mean, normal))), [f"{text}; {usual:.3g} mm is used"]
