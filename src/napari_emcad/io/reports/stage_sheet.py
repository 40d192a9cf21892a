"""A contact sheet: what a network computed inside, a stage in each row, a kind in each column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

from napari_emcad.imaging.colormap import DIVERGING, SEQUENTIAL, apply_colormap
from napari_emcad.imaging.overlay import shown
from napari_emcad.inference.stage_maps.keys import OF_CHANNELS, OF_CLASSES, TITLES, MapKey, StageMap
from napari_emcad.io.reports.text import elide, font

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    Column = tuple[str, int | None]

_CELL, _GAP, _MARGIN, _SIDE = 176, 14, 28, 104
"""Largest side of a panel, between panels, around all, and the width of the rows' names."""

_WORDS, _NARROWEST, _LEAST = 160, 900, 40
"""Least width of a column, of the page, and of a panel's shorter side."""

_TITLE, _NAMES, _CAPTION, _BAR = 76, 34, 24, 150
"""Heights of the head, of a line of names and of a caption; the width of a color bar."""

_SMALL, _USUAL, _LARGE = 12, 14, 20
_INK, _QUIET, _LINE, _FILL = "#222222", "#6b6b6b", "#dddddd", "#21918c"

_FINEST = 8
"""Panels are drawn at most so many times larger and reduced, which averages fine maps."""


@dataclass(frozen=True, slots=True, eq=False)
class StageSheet:
    """What a sheet shows.

    Attributes
    ----------
    title
        Above all.
    picture
        The slice, ``(C, h, w)`` of any real type, perhaps every n-th pixel of it.
    size
        Height and width of the slice in pixels.
    corner
        Its first row and column in the image.
    maps
        In any order.
    classes
        Names of classes 0, 1, …; of maps of all classes, class 1 is shown.
    """

    title: str
    picture: NDArray[Any]
    size: tuple[int, int]
    corner: tuple[int, int]
    maps: Sequence[StageMap]
    classes: Sequence[str]


def draw_stage_sheet(view: StageSheet) -> NDArray[np.uint8]:
    """Return the sheet, ``(H, W, 3)`` uint8.

    Every panel is the image's frame; a map is drawn where it lies on it, one block for each of
    its numbers, and the ends of its colors stand below. Probabilities, gates, attention and
    doubt go from dark 0 to bright 1 at most, signed maps from blue over white 0 to red.
    """
    staged = [each for each in view.maps if each.key.stage is not None]
    doubts = [each for each in view.maps if each.key.stage is None]
    columns = list(dict.fromkeys(_column(each.key) for each in staged))
    stages = sorted({each.key.stage or 0 for each in staged}, reverse=True)
    height, width = _panel_size(view.size)
    room = max(width, _WORDS)
    count = max(len(columns), 1 + len(doubts))
    row = height + _CAPTION + _GAP
    below = _NAMES + len(stages) * row if stages else 0
    page_width = max(2 * _MARGIN + _SIDE + count * (room + _GAP), _NARROWEST)
    page = Image.new("RGB", (page_width, _TITLE + _NAMES + row + below + _MARGIN), "white")
    draw = ImageDraw.Draw(page)
    _head(page, view.title)
    lefts = [_MARGIN + _SIDE + n * (room + _GAP) for n in range(count)]
    top = _TITLE + _NAMES
    _words(draw, (lefts[0], top - 14), room, "image", _INK)
    _paste(page, (lefts[0], top), _image(view.picture, (height, width)))
    _words(draw, (lefts[0], top + height + 12), room, _size_of(view.size), _QUIET)
    for left, each in zip(lefts[1:], doubts, strict=False):
        _words(draw, (left, top - 14), room, TITLES[each.key.kind], _INK)
        _draw_map(page, (left, top), each, view)
    top += row + _NAMES
    if stages:
        draw.line([(_MARGIN, top - _NAMES), (page_width - _MARGIN, top - _NAMES)], _LINE)
    for left, column in zip(lefts, columns, strict=False):
        _words(draw, (left, top - 14), room, _column_title(column, view.classes), _INK)
    for number, stage in enumerate(stages):
        _draw_row(page, top + number * row, stage, dict(zip(columns, lefts, strict=False)), view)
    return np.asarray(page)


def _draw_row(
    page: Image.Image, top: int, stage: int, lefts: Mapping[Column, int], view: StageSheet
) -> None:
    draw, (height, width) = ImageDraw.Draw(page), _panel_size(view.size)
    in_row = {_column(each.key): each for each in view.maps if each.key.stage == stage}
    _row_name(draw, top + height // 2, stage, in_row.values())
    for column, left in lefts.items():
        if column in in_row:
            _draw_map(page, (left, top), in_row[column], view)
        else:
            draw.text((left + width // 2, top + height // 2), "-", _QUIET, font(_USUAL), "mm")


def _column(key: MapKey) -> Column:
    return key.kind, key.part


def _column_title(column: Column, classes: Sequence[str]) -> str:
    kind, part = column
    words = next(words for each, words in TITLES.items() if each == kind)
    if kind in OF_CHANNELS and part is not None:
        return f"{words.split()[0]}, channel {part}"
    if kind in OF_CLASSES and len(classes) > 2:
        return f"{words}, {classes[1 if part is None else part]}"
    return words


def _panel_size(size: tuple[int, int]) -> tuple[int, int]:
    factor = _CELL / max(size)
    height, width = (max(round(each * factor), _LEAST) for each in size)
    return height, width


def _head(page: Image.Image, title: str) -> None:
    """Draw the title, and what the two color bars mean."""
    draw, right = ImageDraw.Draw(page), page.width - _MARGIN
    draw.text((_MARGIN, 28), elide(title, right - _MARGIN, _LARGE), _INK, font(_LARGE), "lm")
    left = _MARGIN
    for stops, low, high in ((SEQUENTIAL, "low", "high"), (DIVERGING, "negative", "positive")):
        draw.text((left, 58), low, _QUIET, font(_SMALL), "lm")
        left += round(font(_SMALL).getlength(low)) + 8
        bar = apply_colormap(np.linspace(0, 1, _BAR)[None].repeat(10, axis=0), (0, 1), stops)
        page.paste(Image.fromarray(bar), (left, 53))
        left += _BAR + 8
        draw.text((left, 58), high, _QUIET, font(_SMALL), "lm")
        left += round(font(_SMALL).getlength(high)) + 32
    says = "The ends of a map's colors stand below it; one block is one number."
    draw.text((left, 58), elide(says, right - left, _SMALL), _QUIET, font(_SMALL), "lm")


def _row_name(draw: ImageDraw.ImageDraw, middle: int, stage: int, maps: Iterable[StageMap]) -> None:
    lines = [f"stage {stage}"]
    for each in maps:
        if each.factor is not None:
            lines += [_size_of(each.values.shape[-2:]), _pixels(each.factor)]
            break
    for number, line in enumerate(lines):
        ink, size = (_INK, _USUAL) if number == 0 else (_QUIET, _SMALL)
        draw.text((_MARGIN, middle + 18 * number - 18), line, ink, font(size), "lm")


def _pixels(factor: tuple[float, float]) -> str:
    y, x = (f"{each:.3g}" for each in factor)
    return f"{y} px each" if y == x else f"{y} x {x} px each"


def _size_of(size: tuple[int, ...]) -> str:
    return f"{size[0]} x {size[1]}"


def _words(draw: ImageDraw.ImageDraw, at: tuple[int, int], room: int, text: str, ink: str) -> None:
    draw.text(at, elide(text, room, _SMALL), ink, font(_SMALL), "lm")


def _paste(page: Image.Image, corner: tuple[int, int], panel: Image.Image) -> None:
    left, top = corner
    frame = [left - 1, top - 1, left + panel.width, top + panel.height]
    ImageDraw.Draw(page).rectangle(frame, outline=_LINE)
    page.paste(panel, corner)


def _image(picture: NDArray[Any], size: tuple[int, int]) -> Image.Image:
    whole = Image.fromarray(shown(picture))
    return whole.resize(size[::-1], Image.Resampling.BOX)


def _draw_map(
    page: Image.Image, corner: tuple[int, int], found: StageMap, view: StageSheet
) -> None:
    height, width = _panel_size(view.size)
    if found.factor is None:
        panel, caption = _bars(found.values, (height, width)), _range_of_channels(found.values)
    else:
        panel, caption = _drawn(found, view), _range(found)
    _paste(page, corner, panel)
    where = (corner[0], corner[1] + height + 12)
    _words(ImageDraw.Draw(page), where, max(width, _WORDS), caption, _QUIET)


def _range(found: StageMap) -> str:
    if found.key.colored:
        return "three main directions"
    low, high = _ends(found)
    return f"{_figure(low, high - low)} ... {_figure(high, high - low)}"


def _range_of_channels(values: NDArray[np.float32]) -> str:
    return f"{len(values)} channels, {values.min():.2f} ... {values.max():.2f}"


def _figure(value: float, spread: float) -> str:
    """Return a number in as many figures as matter beside the spread."""
    return f"{0.0 if abs(value) < spread / 1000 else value:.3g}"


def _ends(found: StageMap) -> tuple[float, float]:
    """Return the values at the ends of the colors: those there are, for probabilities 0 and 1."""
    if found.diverging or found.key.kind == "probability":
        return found.limits
    low, high = float(found.values.min()), float(found.values.max())
    return low, high if high > low else low + 1e-6


def _drawn(found: StageMap, view: StageSheet) -> Image.Image:
    """Return a map on the image's frame, each of its numbers a block where it lies."""
    height, width = _panel_size(view.size)
    values = found.values
    if values.ndim == 3 and not found.key.colored:
        values = values[1]
    fine = min(max(2, -(-max(values.shape[-2:]) // min(height, width))), _FINEST)
    rows, columns = (
        _blocks(fine * count, size, corner, factor, first, there)
        for count, size, corner, factor, first, there in zip(
            (height, width),
            view.size,
            view.corner,
            found.factor or (1, 1),
            found.offset or (0, 0),
            values.shape[-2:],
            strict=True,
        )
    )
    large = values[..., rows[:, None], columns]
    if found.key.colored:
        painted = (large * 255).round().astype(np.uint8).transpose(1, 2, 0)
    else:
        painted = apply_colormap(large, _ends(found), DIVERGING if found.diverging else SEQUENTIAL)
    return Image.fromarray(np.ascontiguousarray(painted)).reduce(fine)


def _blocks(
    count: int, size: int, corner: int, factor: float, first: float, there: int
) -> NDArray[np.intp]:
    """Return for each drawn pixel along an axis which map pixel lies under its center."""
    place = corner - 0.5 + (np.arange(count) + 0.5) * size / count
    index = np.floor((place - (first - factor / 2)) / factor).astype(np.intp)
    return np.clip(index, 0, there - 1)


def _bars(values: NDArray[np.float32], size: tuple[int, int]) -> Image.Image:
    """Return a bar for each channel, from 0 at the bottom to 1 at the top."""
    height, width = (2 * each for each in size)
    panel = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(panel)
    edges = np.linspace(0, width, len(values) + 1)
    gap = 1 if width / len(values) > 3 else 0
    for left, right, value in zip(edges[:-1], edges[1:], values, strict=True):
        top = round((1 - float(value)) * (height - 1))
        draw.rectangle([round(left), top, max(round(right) - 1 - gap, round(left)), height], _FILL)
    return panel.reduce(2)
