"""Draws the probability at the cursor, of every stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QRectF
from qtpy.QtGui import QColor, QPainter

from napari_emcad.model.config import STAGES
from napari_emcad.plugin.widgets.plot import ACCENT_COLOR, LEFT, Plot, faded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qtpy.QtGui import QPaintEvent

_BAR_HEIGHT = 5
_GAP = 10


class Readout(Plot):
    """Draws one probability per stage, deepest stage first, with a bar below the number."""

    def __init__(self) -> None:
        tip = "Probability of the class under the cursor, by the segmentation head of every stage"
        super().__init__(tip, width=160)
        self._values: dict[int, float] = {}

    def show_values(self, values: Mapping[int, float | None]) -> None:
        """Show probabilities by stage; None where there is no value."""
        known = {stage: value for stage, value in values.items() if value is not None}
        if known != self._values:
            self._values = known
            self.update()

    @property
    def values(self) -> dict[int, float]:
        """Probabilities that are shown, by stage."""
        return dict(self._values)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw titles, numbers and bars."""
        painter = QPainter(self)
        color = self._text_color
        line = self.fontMetrics().height()
        width = (self.width() + _GAP) / len(STAGES)
        for n, stage in enumerate(STAGES):
            cell = QRectF(n * width, 0, width - _GAP, line)
            value = self._values.get(stage)
            painter.setPen(faded(color, 0.6))
            painter.drawText(cell, LEFT, f"stage {stage}")
            painter.setPen(color)
            number = "–" if value is None else f"{value:.2f}"
            painter.drawText(cell.translated(0, line + 2), LEFT, number)
            bar = QRectF(cell.left(), 2 * line + 6, cell.width(), _BAR_HEIGHT)
            _draw_bar(painter, bar, value, color)

    def _content_height(self) -> int:
        return int(2 * self.fontMetrics().height() + _BAR_HEIGHT + 10)


def _draw_bar(painter: QPainter, bar: QRectF, value: float | None, color: QColor) -> None:
    painter.fillRect(bar, faded(color, 0.15))
    if value is not None:
        bar.setWidth(bar.width() * min(max(value, 0.0), 1.0))
        painter.fillRect(bar, QColor(ACCENT_COLOR))
