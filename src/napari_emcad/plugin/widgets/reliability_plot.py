"""How often the model is right where it is so sure, before and after calibration, as a plot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPalette, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_emcad.plugin.widgets.bar_plot import COLOR

if TYPE_CHECKING:
    from qtpy.QtGui import QPaintEvent

    from napari_emcad.inference.uncertainty import Reliability
    from napari_emcad.interactive.calibrate import Calibration

    Dot = tuple[float, float, float]

_HEIGHT = 160
_SMALLEST, _LARGEST = 1.6, 5.5
"""Radii of dots; their area grows with the pixels in the bin."""


class ReliabilityPlot(QWidget):
    """Draws accuracy over confidence; a dot on the diagonal is as right as it is sure."""

    def __init__(self) -> None:
        super().__init__()
        self._calibration: Calibration | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip(
            "Held-out pixels in bins of how sure the model is, and the share of each that it has "
            "right. On the dashed line it is right as often as it is sure; below, it is too sure. "
            "Larger dots stand for more pixels."
        )

    def show_calibration(self, calibration: Calibration | None) -> None:
        """Show this one instead."""
        self._calibration = calibration
        self.update()

    def dots(self) -> tuple[list[Dot], list[Dot]]:
        """Return confidence, accuracy and share of pixels of each bin, before and after."""
        found = self._calibration
        return ([], []) if found is None else (_dots(found.before), _dots(found.after))

    def sizeHint(self) -> QSize:
        """Return a low strip."""
        return QSize(200, _HEIGHT)

    def minimumSizeHint(self) -> QSize:
        """Return a size that lets the panel be narrow."""
        return QSize(60, _HEIGHT)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ink = self.palette().color(QPalette.ColorRole.WindowText)
        letters = self.fontMetrics()
        before, after = self.dots()
        line = letters.height()
        area = QRectF(letters.horizontalAdvance("100%") + 6, line + 6, 0, 0)
        area.setRight(self.width() - _LARGEST - 2)
        area.setBottom(self.height() - line - 6)
        low = 0.5 if all(x >= 0.5 for x, *_ in (*before, *after)) else 0.0
        self._draw_frame(painter, area, low, ink)
        self._draw_titles(painter, QRectF(0, 0, area.right(), line), ink)
        _draw_line(painter, area, low, before, _faded(ink, 0.5), filled=False)
        _draw_line(painter, area, low, after, QColor(COLOR), filled=True)

    def _draw_frame(self, painter: QPainter, area: QRectF, low: float, ink: QColor) -> None:
        line = self.fontMetrics().height()
        for share in (0.0, 0.5, 1.0):
            y = area.bottom() - share * area.height()
            painter.setPen(_faded(ink, 0.2))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.setPen(_faded(ink, 0.7))
            number = QRectF(0, y - line / 2, area.left() - 4, line)
            painter.drawText(number, _at(Qt.AlignmentFlag.AlignRight), f"{share:.0%}")
        dashes = QPen(_faded(ink, 0.5), 1, Qt.PenStyle.DashLine)
        painter.setPen(dashes)
        painter.drawLine(_place(area, low, low, low), _place(area, low, 1.0, 1.0))
        below = QRectF(area.left(), area.bottom() + 4, area.width(), line)
        painter.setPen(_faded(ink, 0.7))
        painter.drawText(below, _at(Qt.AlignmentFlag.AlignLeft), f"{low:.0%}")
        painter.drawText(below, _at(Qt.AlignmentFlag.AlignRight), "100%")
        painter.drawText(below, _at(Qt.AlignmentFlag.AlignHCenter), "how sure")

    def _draw_titles(self, painter: QPainter, title: QRectF, ink: QColor) -> None:
        painter.setPen(_faded(ink, 0.7))
        painter.drawText(title, _at(Qt.AlignmentFlag.AlignLeft), "how often right")
        painter.setPen(QColor(COLOR))
        painter.drawText(title, _at(Qt.AlignmentFlag.AlignRight), "after")
        title.setRight(title.right() - self.fontMetrics().horizontalAdvance("after  "))
        painter.setPen(_faded(ink, 0.6))
        painter.drawText(title, _at(Qt.AlignmentFlag.AlignRight), "before")


def _dots(found: Reliability) -> list[Dot]:
    total = found.pixels.sum()
    rows = zip(found.confidence, found.accuracy, found.pixels / total, strict=True)
    return [(float(x), float(y), float(share)) for x, y, share in rows if share]


def _place(area: QRectF, low: float, x: float, y: float) -> QPointF:
    along = (x - low) / (1 - low)
    return QPointF(area.left() + along * area.width(), area.bottom() - y * area.height())


def _draw_line(
    painter: QPainter, area: QRectF, low: float, dots: list[Dot], color: QColor, filled: bool
) -> None:
    placed = [_place(area, low, x, y) for x, y, _ in dots]
    painter.setPen(QPen(color, 1.4))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawPolyline(QPolygonF(placed))
    if filled:
        painter.setBrush(color)
    for at, (*_, share) in zip(placed, dots, strict=True):
        radius = _SMALLEST + (_LARGEST - _SMALLEST) * share**0.5
        painter.drawEllipse(at, radius, radius)


def _faded(ink: QColor, alpha: float) -> QColor:
    color = QColor(ink)
    color.setAlphaF(alpha)
    return color


def _at(side: Qt.AlignmentFlag) -> int:
    return int((side | Qt.AlignmentFlag.AlignVCenter).value)
