"""Contact sheet of an evaluation: a row per case, its image, truth, prediction and disagreement."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from napari_emcad.imaging.overlay import (
    CORRECT,
    SPURIOUS,
    WRONG_CLASS,
    blend_labels,
    compare_labels,
    to_rgb,
)
from napari_emcad.io.reports.text import elide, font, to_ascii

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_emcad.io.checkpoints.classes import ClassLabel

_CELL, _GAP, _MARGIN = 280, 12, 28
"""Side of a cell, gap between cells, and page margin, in pixels."""

_SUPERSAMPLING = 2
"""Factor by which cells are drawn larger, and then reduced, for smooth outlines."""

_LEAST_WINDOW = 128
"""Least side of the part of an image that is shown, in pixels."""

_OUTLINE_WIDTH, _TINT, _DIM = 5, 0.15, 0.5
"""Width of outlines, opacity of the color within them, brightness below the disagreement."""

_TITLE_HEIGHT, _LEGEND_HEIGHT, _NAMES_HEIGHT, _CAPTION_HEIGHT = 52, 26, 34, 40
"""Heights of the title, a line of the legend, the names of the columns and a caption."""

_COLUMNS = ("image", "truth", "prediction", "disagreement")
_KINDS = {"agreed": "#606060", "missed": "#ffff00", "invented": "#c0c0ff", "wrong class": "#ffc0c0"}
"""Colors of agreement and of the kinds of disagreement.

They can be told apart with every common color vision deficiency, and from the colors of classes:
these have a medium brightness, disagreement is bright, agreement dark.
"""

_SMALL, _USUAL, _LARGE, _SWATCH = 14, 15, 20, 20
_INK, _QUIET, _LINE = "#222222", "#6b6b6b", "#dddddd"


@dataclass(frozen=True, slots=True, eq=False)
class SheetRow:
    """A case, at the resolution of its cell; made by `make_sheet_row`.

    Attributes
    ----------
    name
        Name of the image.
    figures
        Scores as text.
    picture
        ``(h, w, 3)`` uint8, with stretched contrast.
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
    """Return a case, cropped to the labels of truth and prediction, and resized to its cell.

    Parameters
    ----------
    name, figures
        Name of the image, and its scores as text, for the caption.
    planes
        ``(C, H, W)`` of any real type, as for `napari_emcad.imaging.overlay.overlay`.
    truth, predicted
        ``(H, W)`` class labels.
    """
    window = _window((truth != 0) | (predicted != 0))
    planes, truth, predicted = planes[:, *window], truth[window], predicted[window]
    height, width = truth.shape
    factor = _SUPERSAMPLING * _CELL / max(height, width)
    size = max(round(width * factor), 1), max(round(height * factor), 1)
    smooth = Image.Resampling.BOX if factor < 1 else Image.Resampling.BICUBIC
    step = max(height, width) // (4 * _SUPERSAMPLING * _CELL) or 1
    subsampled = Image.fromarray(to_rgb(planes[:, ::step, ::step]))
    picture = np.asarray(subsampled.resize(size, smooth))
    rows, columns = (
        np.minimum(((np.arange(new) + 0.5) * old / new).astype(int), old - 1)
        for old, new in ((height, size[1]), (width, size[0]))
    )
    nearest = np.ix_(rows, columns)
    return SheetRow(name, figures, picture, truth[nearest], predicted[nearest])


def draw_evaluation_sheet(
    rows: Sequence[SheetRow], classes: Sequence[ClassLabel], title: str
) -> NDArray[np.uint8]:
    """Return a sheet as a picture, ``(H, W, 3)`` uint8.

    Parameters
    ----------
    rows
        Cases from top to bottom.
    classes
        Names and colors of classes 1, 2, …
    title
        Title at the top.
    """
    width = 2 * _MARGIN + len(_COLUMNS) * _CELL + (len(_COLUMNS) - 1) * _GAP
    legend = _legend(classes, width)
    top = _TITLE_HEIGHT + len(legend) * _LEGEND_HEIGHT + _NAMES_HEIGHT
    heights = [_CAPTION_HEIGHT + -(-len(row.picture) // _SUPERSAMPLING) + _GAP for row in rows]
    page = Image.new("RGB", (width, top + sum(heights) + _MARGIN), "white")
    _draw_head(page, title, legend)
    for number, (row, height) in enumerate(zip(rows, heights, strict=True), start=1):
        _draw_caption(page, top, f"{number}. {row.name}", row.figures)
        for column, panel in enumerate(_panels(row, classes)):
            cell = Image.fromarray(panel).reduce(_SUPERSAMPLING)
            indent = (_CELL - cell.width) // 2
            page.paste(cell, (_left(column) + indent, top + _CAPTION_HEIGHT))
        top += height
    return np.asarray(page)


def _window(labeled: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Return the rows and columns around labeled pixels; all of them without labels.

    The window has a least size and a margin, and is square if the image is large enough, because
    cells are.
    """
    spans = [np.flatnonzero(labeled.any(axis)) for axis in (1, 0)]
    if not spans[0].size:
        return slice(None), slice(None)
    extents = [int(span[-1] - span[0]) + 1 for span in spans]
    least = max(_LEAST_WINDOW, max(extents) // 2)
    slices = []
    for span, extent, size in zip(spans, extents, labeled.shape, strict=True):
        length = min(max(extent + extent // 8, least), size)
        start = min(max(int(span[0]) - (length - extent) // 2, 0), size - length)
        slices.append(slice(start, start + length))
        least = max(least, length)
    return slices[0], slices[1]


def _panels(row: SheetRow, classes: Sequence[ClassLabel]) -> list[NDArray[np.uint8]]:
    colors = [label.color for label in classes]
    truth, predicted = (
        _draw_outlines(row.picture, labels, colors) for labels in (row.truth, row.predicted)
    )
    kinds = compare_labels(row.predicted, row.truth)
    dimmed = np.repeat(row.picture.mean(2, keepdims=True) * _DIM, 3, axis=2)
    opacity = np.where(kinds == CORRECT, 0.45, 0.9)
    return [
        row.picture,
        truth,
        predicted,
        blend_labels(dimmed, kinds, list(_KINDS.values()), opacity),
    ]


def _draw_outlines(
    picture: NDArray[np.uint8], labels: NDArray[Any], colors: Sequence[str]
) -> NDArray[np.uint8]:
    """Return a picture with the outlines of labels, which cover both sides of the borders."""
    widened = ndimage.maximum_filter(labels, _OUTLINE_WIDTH)
    border = widened != ndimage.minimum_filter(labels, _OUTLINE_WIDTH)
    opacity = np.where(border, 1.0, _TINT)
    return blend_labels(picture, np.where(labels, labels, widened), colors, opacity)


@dataclass(frozen=True, slots=True)
class _LegendEntry:
    """A text of the legend, its left edge, its color ("" for none), and whether it is filled."""

    left: int
    text: str
    color: str = ""
    filled: bool = False


def _legend(classes: Sequence[ClassLabel], width: int) -> list[list[_LegendEntry]]:
    """Return the lines of the legend: classes are outlined, kinds of disagreement are filled."""
    kinds = list(_KINDS.items())[: WRONG_CLASS if len(classes) > 1 else SPURIOUS]
    entries = [_LegendEntry(0, label.name, label.color) for label in classes]
    entries.append(_LegendEntry(0, f"{_COLUMNS[-1]}:"))
    entries += [_LegendEntry(0, name, color, filled=True) for name, color in kinds]
    lines: list[list[_LegendEntry]] = [[]]
    left = _MARGIN
    for entry in entries:
        text = elide(entry.text, _CELL, _SMALL)
        right = left + _SWATCH * bool(entry.color) + round(font(_SMALL).getlength(text))
        if right > width - _MARGIN:
            lines.append([])
            right, left = right - left + _MARGIN, _MARGIN
        lines[-1].append(replace(entry, left=left, text=text))
        left = right + 2 * _GAP
    return lines


def _draw_head(page: Image.Image, title: str, legend: Sequence[Sequence[_LegendEntry]]) -> None:
    draw, middle, right = ImageDraw.Draw(page), _TITLE_HEIGHT // 2 + 4, page.width - _MARGIN
    draw.text((_MARGIN, middle), elide(title, right - _MARGIN, _LARGE), _INK, font(_LARGE), "lm")
    for number, line in enumerate(legend):
        middle = _TITLE_HEIGHT + number * _LEGEND_HEIGHT + _LEGEND_HEIGHT // 2 - 4
        for entry in line:
            _draw_swatch(draw, entry, middle)
            left = entry.left + _SWATCH * bool(entry.color)
            draw.text((left, middle), entry.text, _INK, font(_SMALL), "lm")
    bottom = _TITLE_HEIGHT + len(legend) * _LEGEND_HEIGHT + _NAMES_HEIGHT
    for column, name in enumerate(_COLUMNS):
        draw.text((_left(column), bottom - 18), name, _QUIET, font(_SMALL), "lm")
    draw.line([(_MARGIN, bottom - 4), (right, bottom - 4)], _LINE)


def _draw_swatch(draw: ImageDraw.ImageDraw, entry: _LegendEntry, middle: int) -> None:
    square = [entry.left, middle - 6, entry.left + 12, middle + 6]
    if entry.filled:
        draw.rectangle(square, entry.color, _QUIET)
    elif entry.color:
        draw.rectangle(square, None, entry.color, width=3)


def _draw_caption(page: Image.Image, top: int, name: str, figures: str) -> None:
    draw, middle = ImageDraw.Draw(page), top + _CAPTION_HEIGHT // 2 + 2
    right, figures = page.width - _MARGIN, to_ascii(figures)
    draw.text((right, middle), figures, _INK, font(_USUAL), "rm")
    width = right - font(_USUAL).getlength(figures) - _MARGIN - 3 * _GAP
    draw.text((_MARGIN, middle), elide(name, width, _USUAL), _INK, font(_USUAL), "lm")


def _left(column: int) -> int:
    return _MARGIN + column * (_CELL + _GAP)
