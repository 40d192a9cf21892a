"""How a training goes: its loss and the score of what is held out, drawn while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QFontMetrics, QPainter, QPalette, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

if TYPE_CHECKING:
    from qtpy.QtGui import QPaintEvent

    Points = list[tuple[float, float]]

LOSS, SCORE = "#f39c12", "#2ecc71"
_HEIGHT = 88
_SMOOTHED = 0.85
"""Share of the mean so far in each point of the loss."""

_ROBUST = 98
"""Percentile of the losses that the axis ends at, so that a spike does not flatten the rest."""


class LossPlot(QWidget):
    """Draws losses of steps on the left axis and scores 0 … 1 on the right one."""

    def __init__(self) -> None:
        super().__init__()
        self._total = 0
        self._losses: Points = []
        self._scores: Points = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip("Loss of each step, smoothed; Dice of what is held out")

    def sizeHint(self) -> QSize:
        """Return a low strip."""
        return QSize(200, _HEIGHT)

    def clear(self, total: int = 0) -> None:
        """Begin anew, for so many steps; 0 if their number is not known."""
        self._total, self._losses, self._scores = total, [], []
        self.update()

    def add_loss(self, step: int, loss: float) -> None:
        """Add the loss of a step."""
        before = self._losses[-1][1] if self._losses else loss
        self._losses.append((step, _SMOOTHED * before + (1 - _SMOOTHED) * loss))
        self.update()

    def add_score(self, step: int, score: float) -> None:
        """Add a score that was reached after a step."""
        self._scores.append((step, score))
        self.update()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not self._losses

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ink = self.palette().color(QPalette.ColorRole.WindowText)
        metrics = QFontMetrics(painter.font())
        high = self._highest()
        left, right = (
            metrics.horizontalAdvance(f"{high:.2f}") + 6,
            metrics.horizontalAdvance("0.0") + 6,
        )
        area = QRectF(left, metrics.height() + 4, self.width() - left - right, 0)
        area.setBottom(self.height() - 6)
        self._draw_frame(painter, area, ink, high)
        self._draw_line(painter, area, [(x, y / high) for x, y in self._losses], LOSS)
        self._draw_line(painter, area, self._scores, SCORE, dots=True)

    def _highest(self) -> float:
        values = [loss for _, loss in self._losses]
        return float(np.percentile(values, _ROBUST)) * 1.05 or 1.0 if values else 1.0

    def _last(self) -> float:
        steps = [x for x, _ in (*self._losses, *self._scores)]
        return max(self._total, *steps, 1)

    def _draw_frame(self, painter: QPainter, area: QRectF, ink: QColor, high: float) -> None:
        faint = QColor(ink)
        faint.setAlphaF(0.2)
        painter.setPen(QPen(faint, 1))
        for share in (0.0, 0.5, 1.0):
            y = area.bottom() - share * area.height()
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
        for share in (0.0, 1.0):
            y = area.bottom() - share * area.height()
            row = QRectF(0, y - 10, self.width(), 20)
            painter.setPen(QColor(LOSS))
            number = QRectF(0, y - 10, area.left() - 4, 20)
            painter.drawText(number, _at(Qt.AlignmentFlag.AlignRight), f"{share * high:.2f}")
            painter.setPen(QColor(SCORE))
            painter.drawText(row, _at(Qt.AlignmentFlag.AlignRight), f"{share:.0f}")
        title = QRectF(area.left(), 0, area.width(), area.top() - 2)
        painter.setPen(QColor(LOSS))
        painter.drawText(title, _at(Qt.AlignmentFlag.AlignLeft), "loss")
        painter.setPen(QColor(SCORE))
        painter.drawText(title, _at(Qt.AlignmentFlag.AlignRight), "Dice, held out")

    def _draw_line(
        self, painter: QPainter, area: QRectF, points: Points, color: str, dots: bool = False
    ) -> None:
        if not points:
            return
        last = self._last()
        placed = [
            QPointF(
                area.left() + x / last * area.width(),
                area.bottom() - min(max(y, 0.0), 1.05) * area.height(),
            )
            for x, y in points
        ]
        painter.setPen(QPen(QColor(color), 1.6))
        painter.drawPolyline(QPolygonF(placed))
        if dots or len(placed) == 1:
            painter.setBrush(QColor(color))
            for each in placed:
                painter.drawEllipse(each, 2.2, 2.2)


def _at(side: Qt.AlignmentFlag) -> int:
    return int((side | Qt.AlignmentFlag.AlignVCenter).value)
