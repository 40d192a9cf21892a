"""Panels of a stage sheet: the image, a map or channel attention, as a small picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

from napari_emcad.imaging.colormap import DIVERGING, SEQUENTIAL, apply_colormap
from napari_emcad.imaging.overlay import to_rgb

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_emcad.inference.stage_maps.keys import StageMap

    Size = tuple[int, int]
    """Height and width."""

_LARGEST_SIDE, _SHORTEST_SIDE = 176, 40
"""Longer side of a panel, and the least length of its shorter side, in pixels."""

_MOST_SUPERSAMPLING = 8
"""Largest factor by which a map is drawn larger and then averaged, for maps of high resolution."""

_BAR_COLOR = "#21918c"


def panel_size(size: Size) -> Size:
    """Return the height and width of the panels of an image."""
    factor = _LARGEST_SIDE / max(size)
    height, width = (max(round(side * factor), _SHORTEST_SIDE) for side in size)
    return height, width


def image_panel(planes: NDArray[Any], size: Size) -> Image.Image:
    """Return the image, ``(C, H, W)``, as a panel of a size."""
    return Image.fromarray(to_rgb(planes)).resize(size[::-1], Image.Resampling.BOX)


def map_panel(stage_map: StageMap, size: Size, image_size: Size, corner: Size) -> Image.Image:
    """Return a map as a panel of a size; every map pixel is a block at its place on the image.

    Parameters
    ----------
    stage_map
        A map with a place on the image; of a map of all classes, class 1 is drawn.
    size
        Height and width of the panel.
    image_size
        Height and width of the image in pixels.
    corner
        First row and column of the image, in the pixels that `StageMap.offset` counts from.
    """
    values = stage_map.values
    if values.ndim == 3 and not stage_map.key.is_rgb:
        values = values[1]
    finest = -(-max(values.shape[-2:]) // min(size))
    supersampling = min(max(2, finest), _MOST_SUPERSAMPLING)
    factors, offsets = stage_map.factor or (1, 1), stage_map.offset or (0, 0)
    rows, columns = (
        _nearest(
            supersampling * size[axis],
            image_size[axis],
            corner[axis],
            factors[axis],
            offsets[axis],
            values.shape[axis - 2],
        )
        for axis in (0, 1)
    )
    enlarged = values[..., rows[:, None], columns]
    if stage_map.key.is_rgb:
        rgb = (enlarged * 255).round().astype(np.uint8).transpose(1, 2, 0)
    else:
        colors = DIVERGING if stage_map.diverging else SEQUENTIAL
        rgb = apply_colormap(enlarged, color_limits(stage_map), colors)
    return Image.fromarray(np.ascontiguousarray(rgb)).reduce(supersampling)


def channel_panel(values: NDArray[np.float32], size: Size) -> Image.Image:
    """Return channel attention as a bar per channel, from 0 at the bottom to 1 at the top."""
    height, width = (2 * side for side in size)
    panel = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(panel)
    edges = np.linspace(0, width, len(values) + 1)
    gap = 1 if width / len(values) > 3 else 0
    for left, right, value in zip(edges[:-1], edges[1:], values, strict=True):
        top = round((1 - float(value)) * (height - 1))
        end = max(round(right) - 1 - gap, round(left))
        draw.rectangle([round(left), top, end, height], _BAR_COLOR)
    return panel.reduce(2)


def panel_caption(stage_map: StageMap) -> str:
    """Return the range of values that the colors of a panel stand for."""
    values = stage_map.values
    if stage_map.factor is None:
        return f"{len(values)} channels, {values.min():.2f} ... {values.max():.2f}"
    if stage_map.key.is_rgb:
        return "three main directions"
    low, high = color_limits(stage_map)
    return f"{format_value(low, high - low)} ... {format_value(high, high - low)}"


def format_value(value: float, spread: float) -> str:
    """Return a number with three significant digits; 0 if it is tiny compared with the spread."""
    return f"{0.0 if abs(value) < spread / 1000 else value:.3g}"


def color_limits(stage_map: StageMap) -> tuple[float, float]:
    """Return the values of the first and the last color: 0 and 1 for probabilities.

    Signed maps have symmetric limits; all others begin and end with their smallest and largest
    value.
    """
    if stage_map.diverging or stage_map.key.spec.full_range:
        return stage_map.limits
    low, high = float(stage_map.values.min()), float(stage_map.values.max())
    return low, high if high > low else low + 1e-6


def _nearest(
    count: int, size: int, corner: int, factor: float, offset: float, map_size: int
) -> NDArray[np.intp]:
    """Return along an axis the map pixel below the center of every panel pixel.

    Parameters
    ----------
    count
        Number of panel pixels.
    size
        Number of image pixels.
    corner
        First image pixel.
    factor
        Image pixels per map pixel.
    offset
        Position of the center of the first map pixel, in image pixels.
    map_size
        Number of map pixels.
    """
    position = corner - 0.5 + (np.arange(count) + 0.5) * size / count
    index = np.floor((position - (offset - factor / 2)) / factor).astype(np.intp)
    return np.clip(index, 0, map_size - 1)
