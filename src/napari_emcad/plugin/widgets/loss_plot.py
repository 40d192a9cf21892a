"""Draws the loss of a running training, and the Dice of held-out pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QPointF, QRectF
from qtpy.QtGui import QColor, QFontMetrics, QPainter, QPen

from napari_emcad.plugin.widgets.plot import (
    GRID_VALUES,
    LEFT,
    RIGHT,
    Plot,
    draw_grid_line,
    draw_line,
    faded,
    height_of,
)

if TYPE_CHECKING:
    from qtpy.QtGui import QPaintEvent

    Points = list[tuple[float, float]]

LOSS, SCORE = "#f39c12", "#2ecc71"
_HEIGHT = 88
_SMOOTHING = 0.85
"""Weight of the mean of earlier losses in the smoothed loss."""

_TOP_PERCENTILE = 98
"""Percentile of the losses at the top of the axis, so that a spike does not flatten the rest."""

_DOT_RADIUS = 2.2


class LossPlot(Plot):
    """Draws losses of steps on the left axis and scores from 0 to 1 on the right axis."""

    def __init__(self) -> None:
        super().__init__("Smoothed loss of every step; Dice on held-out pixels")
        self._total = 0
        self._losses: Points = []
        self._scores: Points = []

    def clear(self, total: int = 0) -> None:
        """Start a new plot.

        Parameters
        ----------
        total
            Number of steps of the training; 0 if it is not known.
        """
        self._total, self._losses, self._scores = total, [], []
        self.update()

    def add_loss(self, step: int, loss: float) -> None:
        """Add the loss of a step."""
        before = self._losses[-1][1] if self._losses else loss
        self._losses.append((step, _SMOOTHING * before + (1 - _SMOOTHING) * loss))
        self.update()

    def add_score(self, step: int, score: float) -> None:
        """Add the score after a step."""
        self._scores.append((step, score))
        self.update()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not self._losses

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw axes, losses and scores."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        metrics = QFontMetrics(painter.font())
        top = self._top()
        left = metrics.horizontalAdvance(f"{top:.2f}") + 6
        right = metrics.horizontalAdvance("0.0") + 6
        area = QRectF(left, metrics.height() + 4, self.width() - left - right, 0)
        area.setBottom(self.height() - 6)
        self._draw_axes(painter, area, top)
        self._draw_titles(painter, QRectF(area.left(), 0, area.width(), area.top() - 2))
        self._draw_curve(painter, area, [(x, y / top) for x, y in self._losses], LOSS)
        self._draw_curve(painter, area, self._scores, SCORE, dots=True)

    def _content_height(self) -> int:
        return _HEIGHT

    def _top(self) -> float:
        """Return the loss at the top of the axis."""
        values = [loss for _, loss in self._losses]
        return float(np.percentile(values, _TOP_PERCENTILE)) * 1.05 or 1.0 if values else 1.0

    def _last_step(self) -> float:
        steps = [x for x, _ in (*self._losses, *self._scores)]
        return max(self._total, *steps, 1)

    def _draw_axes(self, painter: QPainter, area: QRectF, top: float) -> None:
        painter.setPen(QPen(faded(self._text_color, 0.2), 1))
        for value in GRID_VALUES:
            draw_grid_line(painter, area, value)
        for value in (0.0, 1.0):
            y = height_of(area, value) - 10
            painter.setPen(QColor(LOSS))
            painter.drawText(QRectF(0, y, area.left() - 4, 20), RIGHT, f"{value * top:.2f}")
            painter.setPen(QColor(SCORE))
            painter.drawText(QRectF(0, y, self.width(), 20), RIGHT, f"{value:.0f}")

    def _draw_titles(self, painter: QPainter, area: QRectF) -> None:
        painter.setPen(QColor(LOSS))
        painter.drawText(area, LEFT, "loss")
        painter.setPen(QColor(SCORE))
        painter.drawText(area, RIGHT, "Dice, held out")

    def _draw_curve(
        self, painter: QPainter, area: QRectF, values: Points, color: str, dots: bool = False
    ) -> None:
        if not values:
            return
        last = self._last_step()
        points = [
            QPointF(area.left() + x / last * area.width(), height_of(area, min(max(y, 0.0), 1.05)))
            for x, y in values
        ]
        draw_line(painter, points, QColor(color), 1.6)
        if dots or len(points) == 1:
            painter.setBrush(QColor(color))
            for point in points:
                painter.drawEllipse(point, _DOT_RADIUS, _DOT_RADIUS)
