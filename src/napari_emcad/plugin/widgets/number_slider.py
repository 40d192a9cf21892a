"""A slider beside a spin box, for numbers of pixels from none to many."""

from __future__ import annotations

import math

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QDoubleSpinBox, QHBoxLayout, QSlider, QSpinBox, QWidget

from napari_emcad.plugin.widgets.helpers import require_focus_for_wheel

_STEPS = 200
"""Positions of the slider."""


class NumberSlider(QWidget):
    """A spin box with a slider that covers the part of its range that is of use.

    Parameters
    ----------
    box
        Spin box with range, step and unit; it takes values beyond the slider as well.
    high
        Value at the right end of the slider; its left end is the lowest value of the box.
    logarithmic
        Whether small values get more of the slider than large ones.

    Signals
    -------
    valueChanged
        The new value.
    """

    valueChanged = Signal(float)

    def __init__(
        self, box: QSpinBox | QDoubleSpinBox, high: float, logarithmic: bool = False
    ) -> None:
        super().__init__()
        self._box, self._low, self._high = box, box.minimum(), high
        self._logarithmic = logarithmic
        self._slider = QSlider(Qt.Orientation.Horizontal)
        self._slider.setRange(0, _STEPS)
        require_focus_for_wheel(self._slider)
        self._slider.valueChanged.connect(self._slide)
        box.valueChanged.connect(self._box_changed)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider, 1)
        layout.addWidget(box)
        self.setFocusProxy(box)

    def value(self) -> float:
        """Return the value."""
        return float(self._box.value())

    def setValue(self, value: float) -> None:
        """Set the value."""
        self._box.setValue(value if isinstance(self._box, QDoubleSpinBox) else round(value))
        self._show()

    def setToolTip(self, tip: str | None) -> None:
        """Show a tool tip on slider and box."""
        for widget in (self._slider, self._box):
            widget.setToolTip(tip)

    def _slide(self, position: int) -> None:
        share = position / _STEPS
        if self._logarithmic:
            value = self._low + math.expm1(share * math.log1p(self._high - self._low))
        else:
            value = self._low + share * (self._high - self._low)
        integer = isinstance(self._box, QSpinBox)
        self._box.setValue(round(value) if integer else round(value, 2))

    def _box_changed(self, value: float) -> None:
        self._show()
        self.valueChanged.emit(float(value))

    def _show(self) -> None:
        """Move the slider to the value, without setting the value again."""
        above = min(self.value(), self._high) - self._low
        if self._logarithmic:
            share = math.log1p(above) / math.log1p(self._high - self._low)
        else:
            share = above / (self._high - self._low)
        with QSignalBlocker(self._slider):
            if not self._slider.isSliderDown():
                self._slider.setValue(round(share * _STEPS))
