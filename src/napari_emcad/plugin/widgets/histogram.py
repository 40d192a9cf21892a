"""A histogram of one column, with the range that is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QRectF
from qtpy.QtGui import QColor, QPainter

from napari_emcad.plugin.widgets.plot import ACCENT_COLOR, Plot, faded

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from qtpy.QtGui import QPaintEvent

_HEIGHT, _BINS, _REST_OPACITY = 56, 40, 0.35


class Histogram(Plot):
    """Bars of the numbers of objects by value; those outside of the range are faded."""

    def __init__(self) -> None:
        super().__init__("Number of objects by value; the bars of those that are kept are bright")
        self._counts = np.zeros(0, int)
        self._edges = np.zeros(1)
        self._range = (-np.inf, np.inf)

    def show_values(self, values: NDArray[Any]) -> None:
        """Show the values of a column; those that are not finite are left out."""
        finite = np.asarray(values, float)
        finite = finite[np.isfinite(finite)]
        self._counts, self._edges = np.zeros(0, int), np.zeros(1)
        if finite.size:
            self._counts, self._edges = np.histogram(finite, _BINS)
        self.update()

    def show_range(self, low: float, high: float) -> None:
        """Show the values that are kept."""
        self._range = low, high
        self.update()

    def _content_height(self) -> int:
        return _HEIGHT

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the bars."""
        painter = QPainter(self)
        most = max(self._counts, default=0)
        if not most:
            return
        width, (low, high) = self.width() / len(self._counts), self._range
        for n, count in enumerate(self._counts):
            middle = (self._edges[n] + self._edges[n + 1]) / 2
            color = QColor(ACCENT_COLOR)
            kept = low <= middle <= high
            height = max(count / most * (self.height() - 2), 1.0) if count else 0.0
            bar = QRectF(n * width, self.height() - height, max(width - 1, 1), height)
            painter.fillRect(bar, color if kept else faded(color, _REST_OPACITY))
