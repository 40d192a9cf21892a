"""Draws channel attention, which has no position in the image, as one row of bars per stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QRectF
from qtpy.QtGui import QColor, QPainter

from napari_emcad.plugin.widgets.plot import (
    ACCENT_COLOR,
    GRID_VALUES,
    LEFT,
    Plot,
    draw_grid_line,
    faded,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray
    from qtpy.QtGui import QPaintEvent

_HEIGHT = 28
_GAP = 4


class BarPlot(Plot):
    """Draws rows of numbers from 0 to 1, each below its title."""

    def __init__(self) -> None:
        super().__init__("Channel attention: one bar per channel, 0 to 1, averaged over the image")
        self._rows: dict[str, NDArray[np.float32]] = {}

    def show_rows(self, rows: Mapping[str, NDArray[np.float32]]) -> None:
        """Show rows of numbers, by title."""
        self._rows = dict(rows)
        self.setVisible(bool(rows))
        self.updateGeometry()
        self.update()

    @property
    def titles(self) -> tuple[str, ...]:
        """Titles of the rows."""
        return tuple(self._rows)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the rows."""
        painter = QPainter(self)
        color = self._text_color
        line = self.fontMetrics().height()
        for number, (title, values) in enumerate(self._rows.items()):
            top = number * self._row_height()
            painter.setPen(color)
            label = f"{title}: {len(values)} channels, {values.min():.2f} to {values.max():.2f}"
            painter.drawText(QRectF(0, top, self.width(), line), LEFT, label)
            _draw_bars(painter, QRectF(0, top + line, self.width(), _HEIGHT - 4), values, color)

    def _content_height(self) -> int:
        return len(self._rows) * self._row_height()

    def _row_height(self) -> int:
        return int(self.fontMetrics().height() + _HEIGHT + _GAP)


def _draw_bars(painter: QPainter, area: QRectF, values: NDArray[np.float32], color: QColor) -> None:
    """Draw bars that fill the width of an area, with lines at 0, ½ and 1."""
    width = area.width() / len(values)
    for n, value in enumerate(values.tolist()):
        height = min(max(value, 0.0), 1.0) * area.height()
        bar = QRectF(area.left() + n * width, area.bottom() - height, max(width - 0.2, 0.5), height)
        painter.fillRect(bar, QColor(ACCENT_COLOR))
    painter.setPen(faded(color, 0.25))
    for value in GRID_VALUES:
        draw_grid_line(painter, area, value)
