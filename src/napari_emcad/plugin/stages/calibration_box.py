"""The calibration of the model: a button, its result in words, and a reliability plot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_emcad.plugin.widgets.helpers import text
from napari_emcad.plugin.widgets.reliability_plot import ReliabilityPlot

if TYPE_CHECKING:
    from napari_emcad.interactive.calibrate import Calibration

_STALE = "The model has changed since it was calibrated: uncertainty is at temperature 1 again."


class CalibrationBox(QWidget):
    """Shows a calibration; it starts nothing itself.

    Signals
    -------
    requested
        The user pressed the button.
    """

    requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._button = QPushButton("Calibrate on held-out strokes")
        self._button.clicked.connect(self.requested)
        self.plot, self._text = ReliabilityPlot(), text()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._button)
        column.addWidget(self._text)
        column.addWidget(self.plot)
        self.show_state("", "", None, stale=False)

    @property
    def shown_text(self) -> str:
        """The text that is shown."""
        return str(self._text.text())

    def show_state(
        self, reason: str, busy: str, calibration: Calibration | None, stale: bool
    ) -> None:
        """Enable the button, and show a calibration.

        Parameters
        ----------
        reason
            Reason why the model cannot be calibrated, or "".
        busy
            Reason why a calibration has to wait, or "".
        calibration
            Calibration of the open model; None if it has none.
        stale
            Whether there is a calibration of another model.
        """
        tip = "Fits one temperature to the predictions on held-out strokes"
        self._button.setEnabled(not reason and not busy)
        self._button.setToolTip(reason or busy or tip)
        parts = [_STALE] if stale else []
        self._text.setText(" ".join([*parts, reason]) if calibration is None else str(calibration))
        self._text.setVisible(bool(self._text.text()))
        self.plot.show_calibration(calibration)
        self.plot.setVisible(calibration is not None and calibration.is_fitted)
