"""How large the pixels of a TIFF are, as OME, ImageJ or plain TIFF says it."""

from __future__ import annotations

import struct
from math import isfinite
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import tifffile

if TYPE_CHECKING:
    from collections.abc import Mapping

PIXEL = "pixel"
"""The unit where a file does not say how large its pixels are."""

_LENGTHS = {"Å": 1e-4, "nm": 1e-3, "µm": 1.0, "mm": 1e3, "cm": 1e4, "inch": 25_400.0, "m": 1e6}
"""Units of length in µm."""

_SPELLINGS = {
    "um": "µm",
    "μm": "µm",
    r"\u00B5m": "µm",
    "micron": "µm",
    "microns": "µm",
    "in": "inch",
}
"""How units of length are written too; the second one has the Greek letter."""

_OME_UNITS = {"inch": "in"}
"""Units that OME spells in another way than we do."""

_COARSEST = 10.0
"""µm; what a plain TIFF says of larger pixels is how it is printed (72 to 2400 dots per inch)."""

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
"""What a damaged description raises, that of OME's XML included."""


def ome_pixel_size(sizes: Mapping[str, float], unit: str) -> dict[str, Any]:
    """Return the size of a pixel by axis as OME's metadata."""
    said = _OME_UNITS.get(unit, unit)
    described: dict[str, Any] = {}
    for axis, size in sizes.items():
        described |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": said}
    return described


def read_pixel_size(file: tifffile.TiffFile) -> tuple[dict[str, float], str]:
    """Return the size of a pixel by axis and its unit; all axes in the unit of X."""
    try:
        said = {axis: (float(size), _SPELLINGS.get(u, u)) for axis, size, u in _said_of(file)}
    except _UNREADABLE:
        said = {}
    sizes = {
        axis: (size, unit)
        for axis, (size, unit) in said.items()
        if unit in _LENGTHS and isfinite(size) and size > 0
    }
    if not {"Y", "X"} <= set(sizes):
        return {}, PIXEL
    common = sizes["X"][1]
    factors = {unit: length / _LENGTHS[common] for unit, length in _LENGTHS.items()}
    return {axis: size * factors[unit] for axis, (size, unit) in sizes.items()}, common


def _said_of(file: tifffile.TiffFile) -> list[tuple[str, Any, str]]:
    """Return axis, size and unit as an OME, ImageJ or plain TIFF says them."""
    if file.is_ome:
        return _said_by_ome(file.ome_metadata)
    page = file.pages.first
    if file.is_imagej:
        said = file.imagej_metadata
        unit = str(said.get("unit", PIXEL))
        sizes = dict(zip("XY", (1 / each for each in page.resolution), strict=True))
        sizes |= {"Z": said["spacing"]} if "spacing" in said else {}
        return [(axis, size, unit) for axis, size in sizes.items()]
    if page.resolutionunit == tifffile.RESUNIT.NONE:
        return []
    fine = zip("XY", page.get_resolution(tifffile.RESUNIT.MICROMETER), strict=True)
    return [(axis, 1 / each, "µm") for axis, each in fine if 1 / each < _COARSEST]


def _said_by_ome(xml: str) -> list[tuple[str, Any, str]]:
    pixels = ElementTree.fromstring(xml).find(".//{*}Pixels")
    said = {} if pixels is None else pixels.attrib
    names = {axis: f"PhysicalSize{axis}" for axis in "ZYX"}
    return [
        (axis, said[name], said.get(f"{name}Unit", "µm"))
        for axis, name in names.items()
        if name in said
    ]
