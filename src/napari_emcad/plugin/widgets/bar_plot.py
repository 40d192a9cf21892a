"""Numbers without a place on the image, as bars: channel attention, a stage in each row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPalette
from qtpy.QtWidgets import QSizePolicy, QWidget

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray
    from qtpy.QtGui import QPaintEvent

COLOR = "#3fa7d6"
_HEIGHT = 28
_GAP = 4


class BarPlot(QWidget):
    """Draws rows of numbers 0 … 1, each under its title."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: dict[str, NDArray[np.float32]] = {}
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip("Channel attention: a bar for each channel, 0 … 1, the mean over the image")

    def show_rows(self, rows: Mapping[str, NDArray[np.float32]]) -> None:
        """Show these rows instead."""
        self._rows = dict(rows)
        self.setVisible(bool(rows))
        self.updateGeometry()
        self.update()

    @property
    def titles(self) -> tuple[str, ...]:
        """What is drawn."""
        return tuple(self._rows)

    def sizeHint(self) -> QSize:
        """Return the height of the rows."""
        return QSize(200, len(self._rows) * self._row_height())

    def minimumSizeHint(self) -> QSize:
        """Return a size that lets the panel be narrow."""
        return QSize(60, len(self._rows) * self._row_height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw."""
        painter = QPainter(self)
        ink = self.palette().color(QPalette.ColorRole.WindowText)
        letters = self.fontMetrics().height()
        for number, (title, values) in enumerate(self._rows.items()):
            top = number * self._row_height()
            painter.setPen(ink)
            said = f"{title}: {len(values)} channels, {values.min():.2f} to {values.max():.2f}"
            where = QRectF(0, top, self.width(), letters)
            painter.drawText(where, int(Qt.AlignmentFlag.AlignLeft.value), said)
            _draw(painter, QRectF(0, top + letters, self.width(), _HEIGHT - 4), values, ink)

    def _row_height(self) -> int:
        return int(self.fontMetrics().height() + _HEIGHT + _GAP)


def _draw(painter: QPainter, area: QRectF, values: NDArray[np.float32], ink: QColor) -> None:
    """Draw bars that fill an area's width, with lines at 0, ½ and 1."""
    width = area.width() / len(values)
    for n, value in enumerate(values.tolist()):
        height = min(max(value, 0.0), 1.0) * area.height()
        bar = QRectF(area.left() + n * width, area.bottom() - height, max(width - 0.2, 0.5), height)
        painter.fillRect(bar, QColor(COLOR))
    faint = QColor(ink)
    faint.setAlphaF(0.25)
    painter.setPen(faint)
    for share in (0.0, 0.5, 1.0):
        y = area.bottom() - share * area.height()
        painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
