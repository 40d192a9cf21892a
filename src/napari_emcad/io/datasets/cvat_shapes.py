"""The pixels of shapes in CVAT's XML files."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from napari_emcad.io.datasets.outlines import filled_polygon, placed

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from numpy.typing import NDArray

KINDS = ("polygon", "box", "ellipse", "mask")
"""Shapes that have an area."""

_CORNERS = 72
"""Corners of the polygon that is drawn for an ellipse."""


def shape_pixels(shape: Element, size: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the pixels of a shape.

    Parameters
    ----------
    shape
        The element, one of `KINDS`.
    size
        Height and width of the image.

    Raises
    ------
    ValueError, KeyError, IndexError
        If its numbers are missing or not valid.
    """
    if shape.tag == "mask":
        return _mask(shape, size)
    if shape.tag == "polygon":
        points = [
            (float(x), float(y))
            for x, y in (p.split(",") for p in _text(shape, "points").split(";"))
        ]
        return filled_polygon(points, size)
    return filled_polygon(_turned(shape, _outline(shape)), size)


def _outline(shape: Element) -> list[tuple[float, float]]:
    """Return the corners of a box, or points on an ellipse, before they are turned."""
    if shape.tag == "box":
        x0, y0, x1, y1 = (_number(shape, name) for name in ("xtl", "ytl", "xbr", "ybr"))
        return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    x, y, rx, ry = (_number(shape, name) for name in ("cx", "cy", "rx", "ry"))
    angles = [2 * math.pi * k / _CORNERS for k in range(_CORNERS)]
    return [(x + rx * math.cos(angle), y + ry * math.sin(angle)) for angle in angles]


def _turned(shape: Element, points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return points turned clockwise around their center by the degrees of a shape."""
    angle = math.radians(float(shape.get("rotation", 0)))
    x0, y0 = np.mean(points, axis=0)
    cos, sin = math.cos(angle), math.sin(angle)
    return [
        (x0 + cos * (x - x0) - sin * (y - y0), y0 + sin * (x - x0) + cos * (y - y0))
        for x, y in points
    ]


def _mask(shape: Element, size: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return a mask of run lengths, which begin with those outside of the object."""
    height, width = int(_number(shape, "height")), int(_number(shape, "width"))
    runs = [int(run) for run in _text(shape, "rle").split(",")]
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    if inside.size != height * width:
        raise ValueError("the runs have another length than the mask")
    corner = _number(shape, "left"), _number(shape, "top")
    return placed(inside.reshape(height, width), corner, size)


def _number(shape: Element, name: str) -> float:
    return float(_text(shape, name))


def _text(shape: Element, name: str) -> str:
    return shape.attrib[name]
