"""Draws the Dice of held-out pixels while a network learns, and the loss if it is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QFont, QFontMetrics, QPainter, QPen
from qtpy.QtWidgets import QCheckBox, QHBoxLayout

from napari_emcad.plugin.widgets.plot import (
    CENTER,
    GRID_VALUES,
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

_DOT_RADIUS = 2.6
_LARGE = 2.2
"""Size of the letters of the score, as a multiple of the usual one."""

_CAPTION = "Dice, held out"


class TrainingPlot(Plot):
    """Shows the last score large, and draws a dot per score from 0 to 1.

    The loss of every step is drawn on a second axis while its box is checked, or as long as there
    are no scores.
    """

    def __init__(self) -> None:
        super().__init__(
            "Dice on held-out pixels: the last one, and one dot per epoch or live update"
        )
        self._total = 0
        self._losses: Points = []
        self._scores: Points = []
        self._loss = QCheckBox("loss")
        self._loss.setToolTip("Draws the smoothed loss of every step, too (off)")
        self._loss.toggled.connect(lambda _: self.update())
        corner = QHBoxLayout(self)
        corner.setContentsMargins(0, 0, 0, 0)
        corner.addWidget(self._loss, 0, Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignRight)

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

    @property
    def scores(self) -> Points:
        """Step and score of every dot."""
        return list(self._scores)

    @property
    def shows_loss(self) -> bool:
        """Whether the loss is drawn."""
        return self._loss.isChecked() or not self._scores

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the last score, axes, scores and losses."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        metrics = QFontMetrics(painter.font())
        top, left = self._top(), 0.0
        if self._scores:
            left = metrics.horizontalAdvance(_CAPTION) + 8
            self._draw_score(painter, QRectF(0, 0, left, self.height()))
        first = left
        if self.shows_loss:
            left += metrics.horizontalAdvance(f"{top:.2f}") + 6
        right = metrics.horizontalAdvance("0.0") + 6
        area = QRectF(left, self._loss.height() + 4, self.width() - left - right, 0)
        area.setBottom(self.height() - 8)
        self._draw_axes(painter, area)
        if self.shows_loss:
            self._draw_loss_axis(painter, area, first, top)
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

    def _draw_score(self, painter: QPainter, area: QRectF) -> None:
        """Draw the last score in large digits, above what it is."""
        usual = painter.font()
        large = QFont(usual)
        large.setPixelSize(round(_LARGE * QFontMetrics(usual).ascent()))
        large.setBold(True)
        middle = area.center().y() + 6
        painter.setFont(large)
        painter.setPen(self._text_color)
        above = QRectF(area.left(), area.top(), area.width(), middle - area.top())
        painter.drawText(above, CENTER, f"{self._scores[-1][1]:.2f}")
        painter.setFont(usual)
        painter.setPen(faded(self._text_color, 0.75))
        painter.drawText(QRectF(area.left(), middle, area.width(), 20), CENTER, _CAPTION)

    def _draw_axes(self, painter: QPainter, area: QRectF) -> None:
        painter.setPen(QPen(faded(self._text_color, 0.2), 1))
        for value in GRID_VALUES:
            draw_grid_line(painter, area, value)
        painter.setPen(QColor(SCORE))
        for value in (0.0, 1.0) if self._scores else ():
            box = QRectF(0, height_of(area, value) - 10, self.width(), 20)
            painter.drawText(box, RIGHT, f"{value:.0f}")

    def _draw_loss_axis(self, painter: QPainter, area: QRectF, left: float, top: float) -> None:
        painter.setPen(QColor(LOSS))
        for value in (0.0, 1.0):
            box = QRectF(left, height_of(area, value) - 10, area.left() - left - 4, 20)
            painter.drawText(box, RIGHT, f"{value * top:.2f}")

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
