"""Contact sheet of a network's maps: a row per decoder stage, a column per kind of map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

from napari_emcad.imaging.colormap import DIVERGING, SEQUENTIAL, apply_colormap
from napari_emcad.inference.stage_maps.specs import map_spec
from napari_emcad.io.reports.stage_panel import (
    channel_panel,
    image_panel,
    map_panel,
    panel_caption,
    panel_size,
)
from napari_emcad.io.reports.text import elide, font

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from napari_emcad.inference.stage_maps.keys import MapKey, StageMap

    Column = tuple[str, int | None]
    """Kind and part of the maps in a column."""

_MARGIN, _GAP, _ROW_NAME_WIDTH = 28, 14, 104
"""Page margin, gap between panels, and width of the names of the rows."""

_LEAST_COLUMN_WIDTH, _LEAST_PAGE_WIDTH = 160, 900

_HEAD_HEIGHT, _TITLE_HEIGHT, _CAPTION_HEIGHT = 76, 34, 24
"""Height of the page's head, of the titles of columns, and of the caption of a panel."""

_COLOR_BAR_WIDTH = 150
_SMALL, _USUAL, _LARGE = 12, 14, 20
_INK, _QUIET, _LINE = "#222222", "#6b6b6b", "#dddddd"


@dataclass(frozen=True, slots=True, eq=False)
class StageSheet:
    """Content of a stage sheet.

    Attributes
    ----------
    title
        Title at the top.
    picture
        The slice, ``(C, h, w)`` of any real type, possibly subsampled.
    size
        Height and width of the slice in pixels.
    corner
        First row and column of the slice in the image.
    maps
        Maps in any order.
    classes
        Names of classes 0, 1, …; of maps of all classes, class 1 is drawn.
    """

    title: str
    picture: NDArray[Any]
    size: tuple[int, int]
    corner: tuple[int, int]
    maps: Sequence[StageMap]
    classes: Sequence[str]


def draw_stage_sheet(sheet: StageSheet) -> NDArray[np.uint8]:
    """Return the sheet as a picture, ``(H, W, 3)`` uint8.

    Every panel covers the slice; a map is drawn at its place on it, one block per map pixel, with
    the range of its colors below. Probabilities, gates, attention and uncertainty go from dark to
    bright, signed maps from blue over white (0) to red.
    """
    return np.asarray(_Page(sheet).draw())


class _Page:
    """A page whose rows are: the image and maps without a stage, then the stages, deepest first."""

    def __init__(self, sheet: StageSheet) -> None:
        self._sheet = sheet
        self._stage_maps = [m for m in sheet.maps if m.key.stage is not None]
        self._uncertainty_maps = [m for m in sheet.maps if m.key.stage is None]
        self._columns = list(dict.fromkeys(_column(m.key) for m in self._stage_maps))
        self._stages = sorted({m.key.stage or 0 for m in self._stage_maps}, reverse=True)
        self._panel = panel_size(sheet.size)
        self._column_width = max(self._panel[1], _LEAST_COLUMN_WIDTH)
        self._row_height = self._panel[0] + _CAPTION_HEIGHT + _GAP
        count = max(len(self._columns), 1 + len(self._uncertainty_maps))
        step = self._column_width + _GAP
        self._lefts = [_MARGIN + _ROW_NAME_WIDTH + n * step for n in range(count)]
        width = max(2 * _MARGIN + _ROW_NAME_WIDTH + count * step, _LEAST_PAGE_WIDTH)
        stage_rows = _TITLE_HEIGHT + len(self._stages) * self._row_height if self._stages else 0
        height = _HEAD_HEIGHT + _TITLE_HEIGHT + self._row_height + stage_rows + _MARGIN
        self._page = Image.new("RGB", (width, height), "white")
        self._draw = ImageDraw.Draw(self._page)

    def draw(self) -> Image.Image:
        self._draw_head()
        top = _HEAD_HEIGHT + _TITLE_HEIGHT
        self._draw_image_row(top)
        top += self._row_height + _TITLE_HEIGHT
        if self._stages:
            y = top - _TITLE_HEIGHT
            self._draw.line([(_MARGIN, y), (self._page.width - _MARGIN, y)], _LINE)
        for left, column in zip(self._lefts, self._columns, strict=False):
            self._write((left, top - 14), _column_title(column, self._sheet.classes), _INK)
        for number, stage in enumerate(self._stages):
            self._draw_stage(top + number * self._row_height, stage)
        return self._page

    def _draw_head(self) -> None:
        """Draw the title, and a legend of the two colormaps."""
        right = self._page.width - _MARGIN
        title = elide(self._sheet.title, right - _MARGIN, _LARGE)
        self._draw.text((_MARGIN, 28), title, _INK, font(_LARGE), "lm")
        left = _MARGIN
        for colors, low, high in (
            (SEQUENTIAL, "low", "high"),
            (DIVERGING, "negative", "positive"),
        ):
            self._draw.text((left, 58), low, _QUIET, font(_SMALL), "lm")
            left += round(font(_SMALL).getlength(low)) + 8
            ramp = np.linspace(0, 1, _COLOR_BAR_WIDTH)[None].repeat(10, axis=0)
            self._page.paste(Image.fromarray(apply_colormap(ramp, (0, 1), colors)), (left, 53))
            left += _COLOR_BAR_WIDTH + 8
            self._draw.text((left, 58), high, _QUIET, font(_SMALL), "lm")
            left += round(font(_SMALL).getlength(high)) + 32
        legend = "The range of colors is given below every map; one block is one value."
        legend = elide(legend, right - left, _SMALL)
        self._draw.text((left, 58), legend, _QUIET, font(_SMALL), "lm")

    def _draw_image_row(self, top: int) -> None:
        sheet, left = self._sheet, self._lefts[0]
        self._write((left, top - 14), "image", _INK)
        self._paste((left, top), image_panel(sheet.picture, self._panel))
        self._write((left, top + self._panel[0] + 12), _format_size(sheet.size), _QUIET)
        for left, stage_map in zip(self._lefts[1:], self._uncertainty_maps, strict=False):
            self._write((left, top - 14), stage_map.key.spec.title, _INK)
            self._draw_map((left, top), stage_map)

    def _draw_stage(self, top: int, stage: int) -> None:
        height, width = self._panel
        maps = {_column(m.key): m for m in self._stage_maps if m.key.stage == stage}
        self._write_row_name(top + height // 2, stage, maps.values())
        for left, column in zip(self._lefts, self._columns, strict=False):
            if column in maps:
                self._draw_map((left, top), maps[column])
            else:
                center = (left + width // 2, top + height // 2)
                self._draw.text(center, "-", _QUIET, font(_USUAL), "mm")

    def _write_row_name(self, middle: int, stage: int, maps: Iterable[StageMap]) -> None:
        lines = [f"stage {stage}"]
        placed = next((m for m in maps if m.factor is not None), None)
        if placed is not None and placed.factor is not None:
            lines += [_format_size(placed.values.shape[-2:]), _format_factor(placed.factor)]
        for number, line in enumerate(lines):
            ink, size = (_INK, _USUAL) if number == 0 else (_QUIET, _SMALL)
            self._draw.text((_MARGIN, middle + 18 * number - 18), line, ink, font(size), "lm")

    def _draw_map(self, corner: tuple[int, int], stage_map: StageMap) -> None:
        if stage_map.factor is None:
            panel = channel_panel(stage_map.values, self._panel)
        else:
            panel = map_panel(stage_map, self._panel, self._sheet.size, self._sheet.corner)
        self._paste(corner, panel)
        below = (corner[0], corner[1] + self._panel[0] + 12)
        self._write(below, panel_caption(stage_map), _QUIET)

    def _paste(self, corner: tuple[int, int], panel: Image.Image) -> None:
        left, top = corner
        frame = [left - 1, top - 1, left + panel.width, top + panel.height]
        self._draw.rectangle(frame, outline=_LINE)
        self._page.paste(panel, corner)

    def _write(self, at: tuple[int, int], text: str, ink: str) -> None:
        """Write a text that is elided to the width of a column."""
        text = elide(text, self._column_width, _SMALL)
        self._draw.text(at, text, ink, font(_SMALL), "lm")


def _column(key: MapKey) -> Column:
    return key.kind, key.part


def _column_title(column: Column, classes: Sequence[str]) -> str:
    kind, part = column
    spec = map_spec(kind)
    if spec.group == "features" and part is not None:
        return f"{spec.label}, channel {part}"
    if spec.group == "class" and len(classes) > 2:
        return f"{spec.title}, {classes[1 if part is None else part]}"
    return spec.title


def _format_factor(factor: tuple[float, float]) -> str:
    y, x = (f"{pixels:.3g}" for pixels in factor)
    return f"{y} px each" if y == x else f"{y} x {x} px each"


def _format_size(size: tuple[int, ...]) -> str:
    return f"{size[0]} x {size[1]}"
