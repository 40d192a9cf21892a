"""Writing NRRD volumes with pynrrd."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.images.opened_image import NrrdPlace
from napari_emcad.io.images.optional_libraries import optional_library

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.io.images.geometry import Geometry
    from napari_emcad.io.images.opened_image import OpenedImage

NRRD_SPACES = {
    "left-posterior-superior": (-1, -1, 1),
    "lps": (-1, -1, 1),
    "right-anterior-superior": (1, 1, 1),
    "ras": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1),
    "las": (-1, 1, 1),
}
"""Signs that turn coordinates of a space into RAS+."""

_OF_SPACE = ("space", "space dimension", "space origin", "space units", "measurement frame")
_PER_AXIS = ("space directions", "spacings", "units", "thicknesses", "axis mins", "axis maxs")
"""Fields of a header that say where an image lies: for all axes, and with an entry per axis."""


def nrrd_bytes(
    path: Path, voxels: NDArray[Any], geometry: Geometry, unit: str, classes: Sequence[str]
) -> bytes:
    """Return the content of a ``.nrrd`` file; see `nifti_writer.nifti_bytes`."""
    known = geometry.header if isinstance(geometry.header, dict) else {}
    space = known.get("space", "left-posterior-superior").lower().removesuffix("-time")
    affine = np.asarray(geometry.affine) * np.array([*NRRD_SPACES[space], 1])[:, None]
    directions = np.full((voxels.ndim, 3), np.nan)
    directions[:3] = affine[:3, :3].T
    header = {
        "space": space,
        "space directions": directions,
        "space origin": affine[:3, 3],
        "space units": [_ascii(unit)] * 3,
    }
    return _content(path, voxels, header, 3, classes)


def plain_nrrd_bytes(
    path: Path, labels: NDArray[Any], axes: str, image: OpenedImage, classes: Sequence[str]
) -> bytes:
    """Return the content of a ``.nrrd`` file for labels of an image without an orientation.

    Parameters
    ----------
    path
        The file, for messages.
    labels
        Labels of the image.
    axes
        A letter per axis of `labels`; the axes of space are the last ones.
    image
        The image; spacing, origin and space of a NRRD file are kept.
    classes
        Names of classes 1, 2, …
    """
    spatial = len(axes.lstrip("TC"))
    sizes = [image.scale.get(axis, 1.0) for axis in "XYZ"[:spatial]]
    header: dict[str, Any] = {"spacings": sizes, "units": [_ascii(image.unit)] * spatial}
    if isinstance(image.place, NrrdPlace):
        header = dict(image.place.fields)
    for name in _PER_AXIS:
        if name in header:
            header[name] = _with_length(header[name], labels.ndim)
    return _content(path, labels.T, header, spatial, classes)


def place_of(header: Mapping[str, Any], spatial: Sequence[int]) -> NrrdPlace:
    """Return the fields of a header that say where an image lies, of its axes of space alone."""
    fields = {name: header[name] for name in _OF_SPACE if name in header}
    if "space" in fields:
        fields.pop("space dimension", None)
    for name in _PER_AXIS:
        if name in header:
            fields[name] = [header[name][axis] for axis in spatial]
    return NrrdPlace(fields)


def _content(
    path: Path,
    voxels: NDArray[Any],
    header: dict[str, Any],
    spatial: int,
    classes: Sequence[str],
) -> bytes:
    """Return the content of a file; axes behind those of space are lists."""
    nrrd = optional_library("nrrd", path)
    kinds = ["domain"] * spatial + ["list"] * (voxels.ndim - spatial)
    header = {**header, "kinds": kinds, "encoding": "gzip"}
    for number, name in enumerate(classes, 1):
        header[f"class {number}"] = name.encode("ascii", "xmlcharrefreplace").decode()
    content = BytesIO()
    nrrd.write(content, np.asfortranarray(voxels), header)
    return content.getvalue()


def _with_length(values: Sequence[Any], length: int) -> Any:
    """Return the entries of as many axes, without a meaning for those that are added."""
    if isinstance(values[0], str):
        return [*values, *[""] * length][:length]
    numbers = np.asarray(values, float)
    filled = np.full((length, *numbers.shape[1:]), np.nan)
    filled[: len(numbers)] = numbers[:length]
    return filled


def _ascii(unit: str) -> str:
    """Return a unit in letters that NRRD headers may have."""
    return {"µm": "um", "Å": "angstrom"}.get(unit, unit)
