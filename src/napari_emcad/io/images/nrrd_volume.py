"""Reading NRRD volumes with pynrrd."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.images.geometry import sliced_geometry
from napari_emcad.io.images.nrrd_writer import NRRD_SPACES, place_of
from napari_emcad.io.images.opened_image import ImageFileError, OpenedImage
from napari_emcad.io.images.optional_libraries import optional_library
from napari_emcad.io.images.pixel_size import PIXEL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.io.images.read_options import ReadOptions

_SPATIAL = {"domain", "space", "???", "none", ""}
_LETTERS = {"time": "T", "list": "T", "RGB-color": "C", "RGBA-color": "C", "3-color": "C"}
_UNITS = {
    "": "mm",
    "none": "mm",
    "mm": "mm",
    "millimeter": "mm",
    "millimeters": "mm",
    "um": "µm",
    "µm": "µm",
    "μm": "µm",
    "micron": "µm",
    "microns": "µm",
    "micrometer": "µm",
    "micrometers": "µm",
    "nm": "nm",
    "nanometer": "nm",
    "angstrom": "Å",
    "cm": "cm",
    "m": "m",
    "inch": "inch",
    "pixel": PIXEL,
}
"""Units by their names in lower case; files without one are in mm, as all programs take it."""


def read_nrrd(path: Path, options: ReadOptions) -> OpenedImage:
    """Read a volume as slices of a plane of the patient, or a picture.

    An axis of the kind *time* or *list* is T, one of colors is C.

    Raises
    ------
    ImageFileError
        If pynrrd is not installed, or an axis has another meaning.
    Exception
        Of any type, raised by pynrrd for damaged files.
    """
    nrrd = optional_library("nrrd", path)
    voxels, header = nrrd.read(str(path))
    others = _other_axes(path, header, voxels.ndim)
    spatial = [axis for axis in range(voxels.ndim) if axis not in others]
    if len(spatial) not in (2, 3) or len(others) > 1 or voxels.dtype.kind not in "biuf":
        raise ImageFileError(
            f"{path} has the axes {_kinds(header, voxels.ndim)} of {voxels.dtype}; two or three of "
            f"space are read, with one of time or color."
        )
    affine = _affine(header, spatial) if len(spatial) == 3 else None
    unit = _unit(path, header, spatial)
    letter = others[next(iter(others))] if others else ""
    if affine is None:
        pixels, axes = _in_file_order(voxels, spatial, others)
        scale = _sizes(header, spatial)
        note = f"{path.name} contains no orientation; its axes are taken as they lie in the file."
        note = note * (len(spatial) == 3)
        place = place_of(header, spatial)
        unit = unit if scale else PIXEL
        return OpenedImage(pixels, axes, None, note, scale, unit, place=place)
    geometry = sliced_geometry(
        affine, tuple(voxels.shape[axis] for axis in spatial), options.plane, dict(header)
    )
    pixels = geometry.to_view(voxels.transpose(*spatial, *others))
    if letter == "C":
        pixels = np.moveaxis(pixels, 0, -1)
    axes = {"": "ZYX", "T": "TZYX", "C": "ZYXC"}[letter]
    note = f"{path.name}: {geometry.note}."
    is_labels = any(name.startswith("Segment0_") for name in header)
    if is_labels and others:
        raise ImageFileError(
            f"{path} holds segments that overlap, in several layers; export one layer."
        )
    return OpenedImage(pixels, axes, None, note, geometry.scale, unit, geometry, is_labels)


def _kinds(header: Mapping[str, Any], rank: int) -> list[str]:
    return [str(kind) for kind in header.get("kinds", ["domain"] * rank)]


def _other_axes(path: Path, header: Mapping[str, Any], rank: int) -> dict[int, str]:
    """Return the axes that are not of space, with their letters."""
    others = {}
    for axis, kind in enumerate(_kinds(header, rank)):
        if kind in _LETTERS:
            others[axis] = _LETTERS[kind]
        elif kind not in _SPATIAL:
            raise ImageFileError(f"{path} holds an axis of the kind {kind}; it is not an image.")
    directions = header.get("space directions")
    if directions is not None:
        for axis, direction in enumerate(directions):
            if direction is None or np.isnan(np.asarray(direction, float)).any():
                others.setdefault(axis, "T")
    return others


def _affine(header: Mapping[str, Any], spatial: Sequence[int]) -> NDArray[np.float64] | None:
    """Return the RAS+ affine; None if the file does not say how it lies in the patient."""
    signs = NRRD_SPACES.get(str(header.get("space", "")).lower().removesuffix("-time"))
    directions = header.get("space directions")
    if signs is None or directions is None:
        return None
    affine: NDArray[np.float64] = np.eye(4)
    affine[:3, :3] = np.array([directions[axis][:3] for axis in spatial], float).T
    affine[:3, 3] = header.get("space origin", np.zeros(3))[:3]
    in_ras: NDArray[np.float64] = affine * np.array([*signs, 1])[:, None]
    return in_ras


def _sizes(header: Mapping[str, Any], spatial: Sequence[int]) -> dict[str, float]:
    """Return the spacings of an image without orientation by axis."""
    directions, spacings = header.get("space directions"), header.get("spacings")
    if directions is not None:
        sizes = [float(np.linalg.norm(np.asarray(directions[axis], float))) for axis in spatial]
    elif spacings is not None:
        sizes = [abs(float(spacings[axis])) for axis in spatial]
    else:
        return {}
    if not all(np.isfinite(sizes)) or min(sizes) <= 0:
        return {}
    return dict(zip("XYZ", sizes, strict=False))


def _unit(path: Path, header: Mapping[str, Any], spatial: Sequence[int]) -> str:
    """Return the unit of the axes of space; refuse units that differ or are not of length."""
    if (names := header.get("space units")) is None and (units := header.get("units")) is not None:
        names = [units[axis] for axis in spatial]
    words = {str(name).strip().strip('"').lower() for name in names or ("",)}
    known = {_UNITS.get(word) for word in words}
    if len(known) > 1 or None in known:
        raise ImageFileError(
            f"{path} has the units {', '.join(sorted(words))}; save it with one unit of length."
        )
    return str(known.pop())


def _in_file_order(
    voxels: NDArray[Any], spatial: Sequence[int], others: Mapping[int, str]
) -> tuple[NDArray[Any], str]:
    """Return pixels whose last axis in the file comes first, and their axes."""
    letters = "ZYX"[3 - len(spatial) :]
    if not others:
        return voxels.T, letters
    axis, letter = next(iter(others.items()))
    first = voxels.transpose(axis, *reversed(spatial))
    return (np.moveaxis(first, 0, -1), letters + "C") if letter == "C" else (first, "T" + letters)
