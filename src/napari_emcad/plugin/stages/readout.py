"""What the stages say of the pixel under the cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPalette
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_emcad.model.config import STAGES
from napari_emcad.plugin.widgets.bar_plot import COLOR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qtpy.QtGui import QPaintEvent

_BAR = 5
_GAP = 10


class Readout(QWidget):
    """Draws a probability for each stage, deepest first, with a bar below each."""

    def __init__(self) -> None:
        super().__init__()
        self._values: dict[int, float] = {}
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip("Probability of the class under the cursor, of each stage's head")

    def show_values(self, values: Mapping[int, float | None]) -> None:
        """Show these, by stage; None where there is nothing to say."""
        said = {stage: value for stage, value in values.items() if value is not None}
        if said != self._values:
            self._values = said
            self.update()

    @property
    def values(self) -> dict[int, float]:
        """What is shown, by stage."""
        return dict(self._values)

    def sizeHint(self) -> QSize:
        """Return two lines and a bar."""
        return QSize(160, 2 * self.fontMetrics().height() + _BAR + 10)

    def minimumSizeHint(self) -> QSize:
        """Return a size that lets the panel be narrow."""
        return QSize(60, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw."""
        painter = QPainter(self)
        ink = self.palette().color(QPalette.ColorRole.WindowText)
        faint = QColor(ink)
        faint.setAlphaF(0.6)
        line = self.fontMetrics().height()
        width = (self.width() + _GAP) / len(STAGES)
        for n, stage in enumerate(STAGES):
            cell = QRectF(n * width, 0, width - _GAP, line)
            value = self._values.get(stage)
            painter.setPen(faint)
            painter.drawText(cell, _LEFT, f"stage {stage}")
            painter.setPen(ink)
            said = "–" if value is None else f"{value:.2f}"
            painter.drawText(cell.translated(0, line + 2), _LEFT, said)
            bar = QRectF(cell.left(), 2 * line + 6, cell.width(), _BAR)
            _fill(painter, bar, value, ink)


_LEFT = int((Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter).value)


def _fill(painter: QPainter, bar: QRectF, value: float | None, ink: QColor) -> None:
    empty = QColor(ink)
    empty.setAlphaF(0.15)
    painter.fillRect(bar, empty)
    if value is not None:
        bar.setWidth(bar.width() * min(max(value, 0.0), 1.0))
        painter.fillRect(bar, QColor(COLOR))
