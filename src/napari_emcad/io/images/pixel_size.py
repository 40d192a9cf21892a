"""Physical size of the pixels of a TIFF file, from its OME, ImageJ or plain TIFF metadata."""

from __future__ import annotations

import struct
from math import isfinite
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import tifffile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    AxisSize = tuple[str, Any, str]
    """Axis, size and unit, not yet validated."""

PIXEL = "pixel"
"""Unit of length of files that do not contain the size of their pixels."""

_MICROMETERS = {"Å": 1e-4, "nm": 1e-3, "µm": 1.0, "mm": 1e3, "cm": 1e4, "inch": 25_400.0, "m": 1e6}
"""Units of length in µm."""


def in_mm(unit: str) -> float:
    """Return a unit of length in mm; 1 for one that is not known."""
    return _MICROMETERS.get(unit, 1e3) / 1e3


_SPELLINGS = {
    "um": "µm",
    "μm": "µm",
    r"\u00B5m": "µm",
    "micron": "µm",
    "microns": "µm",
    "in": "inch",
}
"""Other spellings of units; the second one has the Greek letter instead of the micro sign."""

OME_ZARR_UNITS = {
    "Å": "angstrom",
    "nm": "nanometer",
    "µm": "micrometer",
    "mm": "millimeter",
    "cm": "centimeter",
    "m": "meter",
    "inch": "inch",
}
"""Units as OME-Zarr spells them."""

_OME_UNITS = {"inch": "in"}
"""Units that OME spells differently."""

_COARSEST = 10.0
"""Largest pixel size in µm that is read from a plain TIFF; larger ones are print resolutions."""

_UNREADABLE = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    ArithmeticError,
    SyntaxError,
    OSError,
    EOFError,
    struct.error,
)
"""Errors that damaged metadata cause, among them those of the XML parser."""


def ome_pixel_size(sizes: Mapping[str, float], unit: str) -> dict[str, Any]:
    """Return the size of a pixel by axis as OME metadata for tifffile."""
    metadata: dict[str, Any] = {}
    for axis, size in sizes.items():
        metadata[f"PhysicalSize{axis}"] = size
        metadata[f"PhysicalSize{axis}Unit"] = _OME_UNITS.get(unit, unit)
    return metadata


def read_pixel_size(file: tifffile.TiffFile) -> tuple[dict[str, float], str]:
    """Return the size of a pixel by axis, and its unit, as `in_one_unit` does."""
    try:
        return in_one_unit(_axis_sizes(file))
    except _UNREADABLE:
        return {}, PIXEL


def in_one_unit(entries: Sequence[AxisSize]) -> tuple[dict[str, float], str]:
    """Return the size of a pixel by axis, and the unit of X, to which all axes are converted.

    Both X and Y must have a valid size; otherwise no sizes and the unit ``"pixel"`` are returned.

    Parameters
    ----------
    entries
        Axis, size and unit, not yet validated; sizes without a known unit are left out.

    Raises
    ------
    ValueError, TypeError
        If a size is no number.
    """
    spellings = _SPELLINGS | {name: unit for unit, name in OME_ZARR_UNITS.items()}
    known = [(axis, float(size), spellings.get(unit, unit)) for axis, size, unit in entries]
    sizes = {
        axis: (size, unit)
        for axis, size, unit in known
        if unit in _MICROMETERS and isfinite(size) and size > 0
    }
    if not {"Y", "X"} <= set(sizes):
        return {}, PIXEL
    common = sizes["X"][1]
    factors = {unit: length / _MICROMETERS[common] for unit, length in _MICROMETERS.items()}
    return {axis: size * factors[unit] for axis, (size, unit) in sizes.items()}, common


def _axis_sizes(file: tifffile.TiffFile) -> list[AxisSize]:
    if file.is_ome:
        return _from_ome(file.ome_metadata)
    page = file.pages.first
    if file.is_svs:
        size = tifffile.tifffile.svs_description_metadata(page.description)["MPP"]
        return [(axis, size, "µm") for axis in "YX"]
    if file.is_imagej:
        metadata = file.imagej_metadata
        unit = str(metadata.get("unit", PIXEL))
        sizes = {axis: 1 / per_unit for axis, per_unit in zip("XY", page.resolution, strict=True)}
        sizes |= {"Z": metadata["spacing"]} if "spacing" in metadata else {}
        return [(axis, size, unit) for axis, size in sizes.items()]
    if page.resolutionunit == tifffile.RESUNIT.NONE:
        return []
    per_micrometer = zip("XY", page.get_resolution(tifffile.RESUNIT.MICROMETER), strict=True)
    return [(axis, 1 / value, "µm") for axis, value in per_micrometer if 1 / value < _COARSEST]


def _from_ome(xml: str) -> list[AxisSize]:
    pixels = ElementTree.fromstring(xml).find(".//{*}Pixels")
    attributes = {} if pixels is None else pixels.attrib
    names = {axis: f"PhysicalSize{axis}" for axis in "ZYX"}
    return [
        (axis, attributes[name], attributes.get(f"{name}Unit", "µm"))
        for axis, name in names.items()
        if name in attributes
    ]
