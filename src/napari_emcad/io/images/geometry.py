"""How the voxels of a volume lie in the patient, and in which plane the volume is sliced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.images.opened_image import ImageFileError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PLANES = {"axial": "SPL", "coronal": "PIL", "sagittal": "LIP"}
"""Directions in which slices, rows and columns count, as radiologists look at each plane.

Left, posterior, superior and inferior are those of the patient.
"""

_DIRECTIONS = {"L": (0, -1), "R": (0, 1), "P": (1, -1), "A": (1, 1), "S": (2, 1), "I": (2, -1)}
"""World axis and sign of every direction in RAS+ coordinates."""

_ORDINALS = ("first", "second", "third")

_FLAT = 1e-4
"""Volume between the directions of three axes that lie in one plane."""

_TOLERANCE = 0.1
"""Largest distance, in voxels, between the corners of two grids that count as the same."""


@dataclass(frozen=True, slots=True)
class View:
    """The axes of a volume in the order slices, rows, columns.

    Attributes
    ----------
    order
        File axis of slices, rows and columns.
    flips
        Whether slices, rows and columns count backwards along their file axis.
    plane
        Name of the plane; "" for the planes of the file, whose orientation is not known.
    """

    order: tuple[int, int, int]
    flips: tuple[bool, bool, bool] = (False, False, False)
    plane: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """Position of a volume in the patient, and the view of it.

    Attributes
    ----------
    affine
        Matrix ``(4, 4)`` from voxel indices in the order of the file to RAS+ coordinates.
    shape
        Number of voxels along the three axes in the order of the file.
    view
        The axes in the order in which pixels are returned.
    header
        Header of the file as its library returns it, or None.
    file_shape
        Shape that labels have in the file if it is not `shape`: two axes, or more than three.
    is_even
        Whether planes have equal distances; otherwise `affine` has the usual one.
    """

    affine: NDArray[np.float64]
    shape: tuple[int, ...]
    view: View
    header: Any = None
    file_shape: tuple[int, ...] | None = None
    is_even: bool = True

    @property
    def view_shape(self) -> tuple[int, ...]:
        """Number of slices, rows and columns."""
        return tuple(self.shape[axis] for axis in self.view.order)

    @property
    def view_affine(self) -> NDArray[np.float64]:
        """Matrix ``(4, 4)`` from slice, row and column to RAS+ coordinates."""
        to_file = np.zeros((4, 4))
        to_file[3, 3] = 1
        for number, (axis, flip) in enumerate(zip(self.view.order, self.view.flips, strict=True)):
            to_file[axis, number] = -1 if flip else 1
            to_file[axis, 3] = self.shape[axis] - 1 if flip else 0
        return np.asarray(self.affine) @ to_file

    @property
    def is_turned(self) -> bool:
        """Whether the view has other rows, columns or directions than the file."""
        return self.view.order != (2, 1, 0) or any(self.view.flips)

    @property
    def scale(self) -> dict[str, float]:
        """Distance between slices, rows and columns."""
        sizes = np.linalg.norm(self.view_affine[:3, :3], axis=0)
        return dict(zip("ZYX", map(float, sizes), strict=True))

    def to_view(self, voxels: NDArray[Any]) -> NDArray[Any]:
        """Return voxels ``(i, j, k, …)`` as ``(…, slices, rows, columns)``, without a copy."""
        stacked = range(voxels.ndim - 1, 2, -1)
        pixels = voxels.transpose(*stacked, *self.view.order)
        flipped: NDArray[Any] = pixels[self._flip]
        return flipped

    def to_file(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Return ``(…, slices, rows, columns)`` in the order of the file, as `to_view` got it."""
        flipped: NDArray[Any] = pixels[self._flip]
        first = pixels.ndim - 3
        order = [first + self.view.order.index(axis) for axis in range(3)]
        return flipped.transpose(*order, *range(first - 1, -1, -1))

    @property
    def _flip(self) -> Any:
        return (..., *(slice(None, None, -1 if flip else 1) for flip in self.view.flips))

    def lies_on(self, other: Geometry) -> bool:
        """Whether all voxels of both views lie at the same places."""
        if self.view_shape != other.view_shape:
            return False
        corners = np.array([(*c, 1) for c in np.ndindex(2, 2, 2)]) * (*self.view_shape, 1)
        here, there = (geometry.view_affine @ corners.T for geometry in (self, other))
        return bool(np.abs(here - there).max() <= _TOLERANCE * min(self.scale.values()))

    def place_on(self, pixels: NDArray[Any], other: Geometry) -> NDArray[Any] | None:
        """Return pixels of this view in the view of another volume, 0 where this one has none.

        Slices of this view may leave out some of the other. None if the voxels of one do not lie on
        those of the other, or some lie outside of it.

        Parameters
        ----------
        pixels
            ``(slices, rows, columns)`` of this view.
        other
            The volume to fill.
        """
        change = np.linalg.inv(other.view_affine) @ self.view_affine
        steps = np.rint(change)
        corners = np.array([(*c, 1) for c in np.ndindex(2, 2, 2)]) * [
            *(size - 1 for size in self.view_shape),
            1,
        ]
        places = steps @ corners.T
        off = np.abs(change @ corners.T - places).max()
        axes, signs = np.abs(steps[:3, :3]), steps[:3, :3].sum(1)
        low, high = places[:3].min(1).astype(int), places[:3].max(1).astype(int) + 1
        is_inside = (low >= 0).all() and (high <= other.view_shape).all()
        order, strides = axes.argmax(1), axes.max(1).clip(1).astype(int)
        is_whole = (np.sort(order) == range(3)).all() and (strides[order > 0] == 1).all()
        if off > _TOLERANCE or not is_whole or not is_inside:
            return None
        filled = np.zeros(other.view_shape, pixels.dtype)
        turned = pixels.transpose(order)
        flips = tuple(slice(None, None, -1 if sign < 0 else 1) for sign in signs)
        filled[tuple(map(slice, low, high, strides))] = turned[flips]
        return filled

    @property
    def note(self) -> str:
        """Which axis is sliced, in words."""
        slices, rows, columns = self.view_shape
        axis = _ORDINALS[self.view.order[0]]
        return (
            f"{self.view.plane} slices, along the {axis} axis of the file "
            f"({slices} of {rows} × {columns})"
        )


def sliced_geometry(
    affine: NDArray[np.float64],
    shape: tuple[int, ...],
    plane: str | None = None,
    header: Any = None,
    file_shape: tuple[int, ...] | None = None,
) -> Geometry:
    """Return the geometry of a volume that is sliced in a plane.

    Parameters
    ----------
    affine
        Matrix ``(4, 4)`` from voxel indices to RAS+ coordinates.
    shape
        Number of voxels along the three axes.
    plane
        Plane of the slices; None takes that of a single slice, and the axial one otherwise.
    header, file_shape
        As in `Geometry`.

    Raises
    ------
    ImageFileError
        If the affine has no inverse.
    """
    affine = np.array(affine, np.float64)
    if not _has_inverse(affine):
        raise ImageFileError(
            "the affine matrix of its header has no inverse, so the orientation is not known; "
            "correct the header."
        )
    views = {name: _view(affine, name) for name in _PLANES}
    single = [name for name, view in views.items() if shape[view.order[0]] == 1]
    default = single[0] if len(single) == 1 else "axial"
    return Geometry(affine, tuple(shape), views[plane or default], header, file_shape)


def acquired_geometry(affine: NDArray[np.float64], shape: tuple[int, ...]) -> Geometry:
    """Return the geometry of a volume whose third axis is sliced, in the order of the file.

    See `sliced_geometry` for the parameters and errors.
    """
    checked = sliced_geometry(affine, shape)
    nearest = next(name for name in _PLANES if _view(checked.affine, name).order[0] == 2)
    return Geometry(checked.affine, checked.shape, View((2, 1, 0), plane=nearest))


def _has_inverse(affine: NDArray[np.float64]) -> bool:
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or not sizes.all():
        return False
    return bool(abs(np.linalg.det(affine[:3, :3] / sizes)) > _FLAT)


def _view(affine: NDArray[np.float64], plane: str) -> View:
    world, signs = _orientation(affine)
    order, flips = [], []
    for direction in _PLANES[plane]:
        axis, sign = _DIRECTIONS[direction]
        order.append(world.index(axis))
        flips.append(signs[order[-1]] != sign)
    return View((order[0], order[1], order[2]), (flips[0], flips[1], flips[2]), plane)


def _orientation(affine: NDArray[np.float64]) -> tuple[list[int], list[int]]:
    """Return the world axis that is closest to every file axis, and the sign along it.

    Of all assignments the one with the largest sum of cosines is taken.
    """
    from scipy.optimize import linear_sum_assignment

    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    rows, columns = linear_sum_assignment(-np.abs(directions))
    world = [int(rows[list(columns).index(axis)]) for axis in range(3)]
    return world, [1 if directions[w, axis] > 0 else -1 for axis, w in enumerate(world)]
