"""A histogram with a range whose bounds can be dragged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QRectF, Qt, Signal
from qtpy.QtGui import QColor, QPainter

from napari_emcad.plugin.widgets.plot import ACCENT_COLOR, Plot, faded

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from qtpy.QtGui import QMouseEvent, QPaintEvent

_HEIGHT, _BINS, _REST_OPACITY = 56, 40, 0.35
_BOUND_WIDTH = 2


class Histogram(Plot):
    """Bars of counts by value, and a range; bars outside of it are faded.

    Parameters
    ----------
    tip
        Tool tip.
    logarithmic
        Whether the height of a bar grows with the logarithm of its count.

    Signals
    -------
    range_dragged
        Low and high while the user drags one of them.
    range_chosen
        Low and high after the mouse button was released.
    """

    range_dragged = Signal(float, float)
    range_chosen = Signal(float, float)

    def __init__(self, tip: str, logarithmic: bool = False) -> None:
        super().__init__(tip)
        self._counts = np.zeros(0, int)
        self._edges = np.zeros(1)
        self._range = (-np.inf, np.inf)
        self._logarithmic = logarithmic
        self._dragged: int | None = None
        self.setCursor(Qt.CursorShape.SplitHCursor)

    def show_values(self, values: NDArray[Any]) -> None:
        """Show the distribution of values; those that are not finite are left out."""
        finite = np.asarray(values, float)
        finite = finite[np.isfinite(finite)]
        self._counts, self._edges = np.zeros(0, int), np.zeros(1)
        if finite.size:
            self._counts, self._edges = np.histogram(finite, _BINS)
        self.update()

    def show_range(self, low: float, high: float) -> None:
        """Show another range."""
        self._range = low, high
        self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Take the bound that is closer to the mouse."""
        if event.button() != Qt.MouseButton.LeftButton or not self._counts.any():
            return
        x, (low, high) = event.position().x(), (self._x(bound) for bound in self._range)
        self._dragged = 0 if abs(x - low) < abs(x - high) or x < low else 1
        self._drag_to(x)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Move the bound that is dragged."""
        if self._dragged is not None:
            self._drag_to(event.position().x())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Report the range that was chosen."""
        if self._dragged is not None:
            self._dragged = None
            self.range_chosen.emit(*self._range)

    def _drag_to(self, x: float) -> None:
        """Set the dragged bound to a position; a bound stops one bar before the other one."""
        first, last = float(self._edges[0]), float(self._edges[-1])
        bar = (last - first) / _BINS
        value = first + min(max(x / max(self.width(), 1), 0.0), 1.0) * (last - first)
        low, high = (min(max(bound, first), last) for bound in self._range)
        if self._dragged == 0:
            self._range = min(value, high - bar), high
        else:
            self._range = low, max(value, low + bar)
        self.update()
        self.range_dragged.emit(*self._range)

    def _x(self, value: float) -> float:
        """Return the position of a value, at an edge of the widget if it lies outside."""
        first, last = float(self._edges[0]), float(self._edges[-1])
        share = (min(max(value, first), last) - first) / max(last - first, 1e-300)
        return share * float(self.width())

    def _content_height(self) -> int:
        return _HEIGHT

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the bars."""
        painter = QPainter(self)
        heights = np.log1p(self._counts) if self._logarithmic else self._counts
        most = max(heights, default=0)
        if not most:
            return
        width, (low, high) = self.width() / len(self._counts), self._range
        for n, count in enumerate(heights):
            middle = (self._edges[n] + self._edges[n + 1]) / 2
            color = QColor(ACCENT_COLOR)
            kept = low <= middle <= high
            height = max(count / most * (self.height() - 2), 1.0) if count else 0.0
            bar = QRectF(n * width, self.height() - height, max(width - 1, 1), height)
            painter.fillRect(bar, color if kept else faded(color, _REST_OPACITY))
        for bound in (low, high):
            x = min(self._x(bound), self.width() - _BOUND_WIDTH)
            painter.fillRect(QRectF(x, 0, _BOUND_WIDTH, self.height()), self._text_color)
