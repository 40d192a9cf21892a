"""Whether doubt is calibrated: a button, what came of it in words, and its plot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_emcad.plugin.widgets.helpers import text
from napari_emcad.plugin.widgets.reliability_plot import ReliabilityPlot

if TYPE_CHECKING:
    from napari_emcad.interactive.calibrate import Calibration

_STALE = "The model has changed since it was calibrated: doubt is at temperature 1 again."


class CalibrationBox(QWidget):
    """Shows a calibration; it starts nothing itself.

    Signals
    -------
    wanted
        The user pressed the button.
    """

    wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._button = QPushButton("Calibrate on held-out paint")
        self._button.clicked.connect(self.wanted)
        self.plot, self._said = ReliabilityPlot(), text()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._button)
        column.addWidget(self._said)
        column.addWidget(self.plot)
        self.show_state("", "", None, stale=False)

    @property
    def said(self) -> str:
        """What is said."""
        return str(self._said.text())

    def show_state(
        self, reason: str, busy: str, calibration: Calibration | None, stale: bool
    ) -> None:
        """Show how things stand.

        Parameters
        ----------
        reason
            Why held-out paint does not do; "" if it does.
        busy
            Why it has to wait; "" if it has not.
        calibration
            Of the open model; None if it has none.
        stale
            Whether there is one of another model.
        """
        tip = "Asks the model about strokes that it never learned, and fits one temperature"
        self._button.setEnabled(not reason and not busy)
        self._button.setToolTip(reason or busy or tip)
        said = [_STALE] if stale else []
        self._said.setText(" ".join([*said, reason]) if calibration is None else str(calibration))
        self._said.setVisible(bool(self._said.text()))
        self.plot.show_calibration(calibration)
        self.plot.setVisible(calibration is not None and calibration.fitted)
