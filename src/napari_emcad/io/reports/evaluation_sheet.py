"""A contact sheet: segmentations beside their truth, a case in each row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from napari_emcad.imaging.overlay import AGREED, CONFUSED, INVENTED, disagreement, painted, shown
from napari_emcad.io.reports.text import elide, font, to_drawable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_emcad.io.checkpoints.classes import ClassLabel

_CELL, _GAP, _MARGIN = 280, 12, 28
_FINE = 2
"""Cells are drawn so many times larger and reduced, which smooths outlines."""

_CLOSEST = 128
"""Least pixels of the image along a side of what is shown."""

_OUTLINE, _TINT, _DIM = 5, 0.15, 0.5
"""Side of what widens a border, share of color within it, brightness under a disagreement."""

_TITLE, _LEGEND, _NAMES, _CAPTION = 52, 26, 34, 40
"""Heights of the title, a line of the legend, the columns' names and a caption."""

_COLUMNS = ("image", "truth", "prediction", "disagreement")
_KINDS = {"agreed": "#606060", "missed": "#ffff00", "invented": "#c0c0ff", "wrong class": "#ffc0c0"}
"""Colors that stay apart under every common color blindness, and from those of classes: these
are of middle brightness, the kinds of disagreement very bright, agreement dark.
"""

_SMALL, _USUAL, _LARGE, _SWATCH = 14, 15, 20, 20
_INK, _QUIET, _LINE = "#222222", "#6b6b6b", "#dddddd"


@dataclass(frozen=True, slots=True, eq=False)
class SheetRow:
    """A case as it will be shown, no larger than its cell is drawn; made by `make_sheet_row`.

    Attributes
    ----------
    name
        Of the image.
    figures
        Its scores in words.
    picture
        ``(h, w, 3)`` uint8, in its best contrast.
    truth, predicted
        ``(h, w)`` class labels.
    """

    name: str
    figures: str
    picture: NDArray[np.uint8]
    truth: NDArray[Any]
    predicted: NDArray[Any]


def make_sheet_row(
    name: str,
    figures: str,
    planes: NDArray[Any],
    truth: NDArray[Any],
    predicted: NDArray[Any],
) -> SheetRow:
    """Return a case as its cell shows it: cut to where truth or prediction have something.

    Parameters
    ----------
    name, figures
        For the caption.
    planes
        ``(C, H, W)`` of any real type, as for `napari_emcad.imaging.overlay.overlay`.
    truth, predicted
        ``(H, W)`` class labels.
    """
    window = _window((truth != 0) | (predicted != 0))
    planes, truth, predicted = planes[:, *window], truth[window], predicted[window]
    height, width = truth.shape
    factor = _FINE * _CELL / max(height, width)
    size = max(round(width * factor), 1), max(round(height * factor), 1)
    smooth = Image.Resampling.BOX if factor < 1 else Image.Resampling.BICUBIC
    step = max(height, width) // (4 * _FINE * _CELL) or 1
    fewer = Image.fromarray(shown(planes[:, ::step, ::step]))
    picture = np.asarray(fewer.resize(size, smooth))
    rows, columns = (
        np.minimum(((np.arange(new) + 0.5) * old / new).astype(int), old - 1)
        for old, new in ((height, size[1]), (width, size[0]))
    )
    part = np.ix_(rows, columns)
    return SheetRow(name, figures, picture, truth[part], predicted[part])


def draw_evaluation_sheet(
    exhibits: Sequence[SheetRow], classes: Sequence[ClassLabel], title: str
) -> NDArray[np.uint8]:
    """Return a sheet with a row for each case: image, truth, prediction, disagreement.

    Parameters
    ----------
    exhibits
        From top to bottom.
    classes
        Names and colors of classes 1, 2, …
    title
        Above all.

    Returns
    -------
    ndarray
        ``(H, W, 3)`` uint8.
    """
    width = 2 * _MARGIN + len(_COLUMNS) * _CELL + (len(_COLUMNS) - 1) * _GAP
    legend = _legend(classes, width)
    top = _TITLE + len(legend) * _LEGEND + _NAMES
    heights = [_CAPTION + -(-len(each.picture) // _FINE) + _GAP for each in exhibits]
    page = Image.new("RGB", (width, top + sum(heights) + _MARGIN), "white")
    _draw_head(page, title, legend)
    for number, (each, height) in enumerate(zip(exhibits, heights, strict=True), start=1):
        _draw_caption(page, top, f"{number}. {each.name}", each.figures)
        for column, panel in enumerate(_panels(each, classes)):
            reduced = Image.fromarray(panel).reduce(_FINE)
            spare = _CELL - reduced.width
            page.paste(reduced, (_left(column) + spare // 2, top + _CAPTION))
        top += height
    return np.asarray(page)


def _window(inside: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Return rows and columns around what is inside, all if nothing is; no close-ups, no strips.

    It is as wide as high where the image is: cells are as wide as each other.
    """
    spans = [np.flatnonzero(inside.any(axis)) for axis in (1, 0)]
    if not spans[0].size:
        return slice(None), slice(None)
    extents = [int(span[-1] - span[0]) + 1 for span in spans]
    least = max(_CLOSEST, max(extents) // 2)
    slices = []
    for span, extent, size in zip(spans, extents, inside.shape, strict=True):
        length = min(max(extent + extent // 8, least), size)
        start = min(max(int(span[0]) - (length - extent) // 2, 0), size - length)
        slices.append(slice(start, start + length))
        least = max(least, length)
    return slices[0], slices[1]


def _panels(case: SheetRow, classes: Sequence[ClassLabel]) -> list[NDArray[np.uint8]]:
    colors = [each.color for each in classes]
    drawn = [_outlined(case.picture, each, colors) for each in (case.truth, case.predicted)]
    kinds = disagreement(case.predicted, case.truth)
    dim = np.repeat(case.picture.mean(2, keepdims=True) * _DIM, 3, axis=2)
    share = np.where(kinds == AGREED, 0.45, 0.9)
    return [case.picture, *drawn, painted(dim, kinds, list(_KINDS.values()), share)]


def _outlined(
    picture: NDArray[np.uint8], labels: NDArray[Any], colors: Sequence[str]
) -> NDArray[np.uint8]:
    """Return a picture with labels whose outlines lie on both sides of their borders."""
    wide = ndimage.maximum_filter(labels, _OUTLINE)
    border = wide != ndimage.minimum_filter(labels, _OUTLINE)
    return painted(picture, np.where(labels, labels, wide), colors, np.where(border, 1.0, _TINT))


@dataclass(frozen=True, slots=True)
class _Entry:
    """A text of the legend, where it begins, its color ("" for none), and whether it is filled."""

    left: int
    text: str
    color: str = ""
    filled: bool = False


def _legend(classes: Sequence[ClassLabel], width: int) -> list[list[_Entry]]:
    """Return lines of entries: classes are outlined as on their panels, disagreement is filled."""
    kinds = list(_KINDS.items())[: CONFUSED if len(classes) > 1 else INVENTED]
    entries = [_Entry(0, each.name, each.color) for each in classes]
    entries += [_Entry(0, f"{_COLUMNS[-1]}:"), *(_Entry(0, *each, filled=True) for each in kinds)]
    lines: list[list[_Entry]] = [[]]
    left = _MARGIN
    for each in entries:
        short = elide(each.text, _CELL, _SMALL)
        right = left + _SWATCH * bool(each.color) + round(font(_SMALL).getlength(short))
        if right > width - _MARGIN:
            lines.append([])
            right, left = right - left + _MARGIN, _MARGIN
        lines[-1].append(replace(each, left=left, text=short))
        left = right + 2 * _GAP
    return lines


def _draw_head(page: Image.Image, title: str, legend: Sequence[Sequence[_Entry]]) -> None:
    draw, middle, right = ImageDraw.Draw(page), _TITLE // 2 + 4, page.width - _MARGIN
    draw.text((_MARGIN, middle), elide(title, right - _MARGIN, _LARGE), _INK, font(_LARGE), "lm")
    for number, line in enumerate(legend):
        middle = _TITLE + number * _LEGEND + _LEGEND // 2 - 4
        for each in line:
            _draw_swatch(draw, each, middle)
            left = each.left + _SWATCH * bool(each.color)
            draw.text((left, middle), each.text, _INK, font(_SMALL), "lm")
    bottom = _TITLE + len(legend) * _LEGEND + _NAMES
    for column, name in enumerate(_COLUMNS):
        draw.text((_left(column), bottom - 18), name, _QUIET, font(_SMALL), "lm")
    draw.line([(_MARGIN, bottom - 4), (right, bottom - 4)], _LINE)


def _draw_swatch(draw: ImageDraw.ImageDraw, entry: _Entry, middle: int) -> None:
    square = [entry.left, middle - 6, entry.left + 12, middle + 6]
    if entry.filled:
        draw.rectangle(square, entry.color, _QUIET)
    elif entry.color:
        draw.rectangle(square, None, entry.color, width=3)


def _draw_caption(page: Image.Image, top: int, name: str, figures: str) -> None:
    draw, middle, right = ImageDraw.Draw(page), top + _CAPTION // 2 + 2, page.width - _MARGIN
    figures = to_drawable(figures)
    draw.text((right, middle), figures, _INK, font(_USUAL), "rm")
    room = right - font(_USUAL).getlength(figures) - _MARGIN - 3 * _GAP
    draw.text((_MARGIN, middle), elide(name, room, _USUAL), _INK, font(_USUAL), "lm")


def _left(column: int) -> int:
    return _MARGIN + column * (_CELL + _GAP)
