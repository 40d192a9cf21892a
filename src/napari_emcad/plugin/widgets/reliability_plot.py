"""A reliability diagram: accuracy over confidence, before and after calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPen

from napari_emcad.plugin.widgets.plot import (
    ACCENT_COLOR,
    CENTER,
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

    from napari_emcad.inference.uncertainty import Reliability
    from napari_emcad.interactive.calibrate import Calibration

    Dot = tuple[float, float, float]

_HEIGHT = 160
_SMALLEST, _LARGEST = 1.6, 5.5
"""Radii of dots; their area grows with the number of pixels in the bin."""

_TIP = (
    "Held-out pixels in bins of the model's confidence, and the accuracy in every bin. On the "
    "dashed line accuracy equals confidence; below it the model is overconfident. Larger dots "
    "stand for more pixels."
)


class ReliabilityPlot(Plot):
    """Draws accuracy over confidence; dots on the diagonal are calibrated."""

    def __init__(self) -> None:
        super().__init__(_TIP)
        self._calibration: Calibration | None = None

    def show_calibration(self, calibration: Calibration | None) -> None:
        """Show a calibration; None for none."""
        self._calibration = calibration
        self.update()

    def dots(self) -> tuple[list[Dot], list[Dot]]:
        """Return confidence, accuracy and share of pixels of all bins, before and after."""
        calibration = self._calibration
        if calibration is None:
            return [], []
        return _dots(calibration.before), _dots(calibration.after)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw axes and dots."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        color, metrics = self._text_color, self.fontMetrics()
        before, after = self.dots()
        line = metrics.height()
        area = QRectF(metrics.horizontalAdvance("100%") + 6, line + 6, 0, 0)
        area.setRight(self.width() - _LARGEST - 2)
        area.setBottom(self.height() - line - 6)
        lowest = 0.5 if all(x >= 0.5 for x, *_ in (*before, *after)) else 0.0
        self._draw_axes(painter, area, lowest)
        self._draw_titles(painter, QRectF(0, 0, area.right(), line))
        _draw_curve(painter, area, lowest, before, faded(color, 0.5), filled=False)
        _draw_curve(painter, area, lowest, after, QColor(ACCENT_COLOR), filled=True)

    def _content_height(self) -> int:
        return _HEIGHT

    def _draw_axes(self, painter: QPainter, area: QRectF, lowest: float) -> None:
        color, line = self._text_color, self.fontMetrics().height()
        for value in GRID_VALUES:
            painter.setPen(faded(color, 0.2))
            draw_grid_line(painter, area, value)
            painter.setPen(faded(color, 0.7))
            label = QRectF(0, height_of(area, value) - line / 2, area.left() - 4, line)
            painter.drawText(label, RIGHT, f"{value:.0%}")
        painter.setPen(QPen(faded(color, 0.5), 1, Qt.PenStyle.DashLine))
        painter.drawLine(_point(area, lowest, lowest, lowest), _point(area, lowest, 1.0, 1.0))
        below = QRectF(area.left(), area.bottom() + 4, area.width(), line)
        painter.setPen(faded(color, 0.7))
        painter.drawText(below, LEFT, f"{lowest:.0%}")
        painter.drawText(below, RIGHT, "100%")
        painter.drawText(below, CENTER, "confidence")

    def _draw_titles(self, painter: QPainter, area: QRectF) -> None:
        painter.setPen(faded(self._text_color, 0.7))
        painter.drawText(area, LEFT, "accuracy")
        painter.setPen(QColor(ACCENT_COLOR))
        painter.drawText(area, RIGHT, "after")
        area.setRight(area.right() - self.fontMetrics().horizontalAdvance("after  "))
        painter.setPen(faded(self._text_color, 0.6))
        painter.drawText(area, RIGHT, "before")


def _dots(reliability: Reliability) -> list[Dot]:
    shares = reliability.pixels / reliability.pixels.sum()
    rows = zip(reliability.confidence, reliability.accuracy, shares, strict=True)
    return [(float(x), float(y), float(share)) for x, y, share in rows if share]


def _point(area: QRectF, lowest: float, x: float, y: float) -> QPointF:
    """Return the point of a confidence, on an axis from `lowest` to 1, and an accuracy."""
    along = (x - lowest) / (1 - lowest)
    return QPointF(area.left() + along * area.width(), height_of(area, y))


def _draw_curve(
    painter: QPainter, area: QRectF, lowest: float, dots: list[Dot], color: QColor, filled: bool
) -> None:
    points = [_point(area, lowest, x, y) for x, y, _ in dots]
    draw_line(painter, points, color, 1.4)
    if filled:
        painter.setBrush(color)
    for point, (*_, share) in zip(points, dots, strict=True):
        radius = _SMALLEST + (_LARGEST - _SMALLEST) * share**0.5
        painter.drawEllipse(point, radius, radius)
