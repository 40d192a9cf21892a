"""The pixels of outlined objects; those on an outline belong to the object, as in LabelMe."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Point = tuple[float, float]

_FEWEST = 3
"""Least number of corners of a polygon."""


def filled_polygon(points: Sequence[Point], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the pixels of a polygon.

    Parameters
    ----------
    points
        Its corners (x, y) in pixels.
    shape
        Height and width of the image.

    Raises
    ------
    ValueError
        If there are fewer than three corners, or they are not finite.
    """
    if len(points) < _FEWEST or not np.isfinite(points).all():
        raise ValueError("a polygon has three corners or more")
    canvas, pen = _canvas(shape)
    pen.polygon(list(points), fill=1, outline=1)
    return np.asarray(canvas, bool)


def filled_rectangle(first: Point, second: Point, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the pixels of a rectangle with two opposite corners; see `filled_polygon`."""
    (x0, y0), (x1, y1) = first, second
    canvas, pen = _canvas(shape)
    pen.rectangle((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), fill=1, outline=1)
    return np.asarray(canvas, bool)


def filled_circle(center: Point, edge: Point, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the pixels of a circle with a center and a point on it; see `filled_polygon`."""
    (x, y), radius = center, math.dist(center, edge)
    canvas, pen = _canvas(shape)
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=1, outline=1)
    return np.asarray(canvas, bool)


def placed(part: NDArray[np.bool_], corner: Point, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return a mask of an image from a part of it, and the upper left corner of the part.

    Raises
    ------
    ValueError
        If the corner lies outside of the image.
    """
    mask = np.zeros(shape, bool)
    x, y = round(corner[0]), round(corner[1])
    if x < 0 or y < 0:
        raise ValueError("a mask begins within the image")
    window = mask[y : y + part.shape[0], x : x + part.shape[1]]
    window[...] = part[: window.shape[0], : window.shape[1]]
    return mask


def _canvas(shape: tuple[int, ...]) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    canvas = Image.new("1", (shape[1], shape[0]), 0)
    return canvas, ImageDraw.Draw(canvas)
