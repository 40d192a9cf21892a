"""Helpers of the widgets that draw plots with QPainter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPalette, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtCore import QRectF

ACCENT_COLOR = "#3fa7d6"
GRID_VALUES = (0.0, 0.5, 1.0)
"""Values of the horizontal lines of a plot."""

LEFT, CENTER, RIGHT = (
    int((side | Qt.AlignmentFlag.AlignVCenter).value)
    for side in (
        Qt.AlignmentFlag.AlignLeft,
        Qt.AlignmentFlag.AlignHCenter,
        Qt.AlignmentFlag.AlignRight,
    )
)
"""Alignments of text for `QPainter.drawText`, vertically centered."""

_NARROWEST = 60


class Plot(QWidget):
    """A widget that fills the width of the panel and has the height of its content.

    Parameters
    ----------
    tip
        Tool tip.
    width
        Preferred width in pixels.
    """

    def __init__(self, tip: str, width: int = 200) -> None:
        super().__init__()
        self._width = width
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip(tip)

    def _content_height(self) -> int:
        """Return the height of the content in pixels."""
        raise NotImplementedError

    @property
    def _text_color(self) -> QColor:
        return self.palette().color(QPalette.ColorRole.WindowText)

    def sizeHint(self) -> QSize:
        """Return the preferred width and the height of the content."""
        return QSize(self._width, self._content_height())

    def minimumSizeHint(self) -> QSize:
        """Return a size that lets the panel be narrow."""
        return QSize(_NARROWEST, self._content_height())


def faded(color: QColor, alpha: float) -> QColor:
    """Return a color with an opacity from 0 to 1."""
    copy = QColor(color)
    copy.setAlphaF(alpha)
    return copy


def height_of(area: QRectF, value: float) -> float:
    """Return the y coordinate of a value from 0 (bottom) to 1 (top) in an area."""
    y: float = area.bottom() - value * area.height()
    return y


def draw_grid_line(painter: QPainter, area: QRectF, value: float) -> None:
    """Draw a horizontal line at a value from 0 to 1, with the painter's pen."""
    y = height_of(area, value)
    painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))


def draw_line(painter: QPainter, points: Sequence[QPointF], color: QColor, width: float) -> None:
    """Draw a line through points in widget coordinates."""
    painter.setPen(QPen(color, width))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawPolyline(QPolygonF(list(points)))
