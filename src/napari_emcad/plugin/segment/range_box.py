"""A warning that the values of an image are not those that the model expects, with remedies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_emcad.plugin.widgets.helpers import row, text
from napari_emcad.plugin.widgets.histogram import Histogram

if TYPE_CHECKING:
    from napari_emcad.imaging.exposure import RangeReport

_CT_WINDOW = (-125.0, 275.0)
"""Soft tissue in Hounsfield units, as the multi-organ networks of the paper were trained."""

_AIR = -500.0
"""Images with values below it are offered the window of CT; air has -1000."""

_PERCENTILES = (0.5, 99.5)


class RangeBox(QWidget):
    """Shows the values of an image, and the range that becomes black to white for the model.

    Signals
    -------
    chosen
        The user chose other settings, given as arguments of `Checkpoint.override`.
    kept, revert_requested
        The user keeps the settings; the user wants those of the file back.
    """

    chosen = Signal(dict)
    kept = Signal()
    revert_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._text = text()
        self._histogram = Histogram(
            "Distribution of the image's values, in logarithmic height; drag the two bounds to "
            "choose which values are black and white to the model",
            logarithmic=True,
        )
        low, high = _CT_WINDOW
        self._ct = QPushButton(f"CT −{-low:.0f} … {high:.0f}")
        self._ct.setToolTip("Window of soft tissue in Hounsfield units")
        self._percentiles = QPushButton("Percentiles")
        self._percentiles.setToolTip("From the darkest 0.5 % to the brightest 0.5 % of every slice")
        self._keep = QPushButton("Keep")
        self._keep.setToolTip("Segment with these values all the same")
        self._revert = QPushButton("As before")
        self._revert.setToolTip("Undoes the choice of a range")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._text)
        column.addWidget(self._histogram)
        column.addWidget(row(self._ct, self._percentiles, self._keep, self._revert))
        self._histogram.range_chosen.connect(self._choose_range)
        self._ct.clicked.connect(lambda: self._choose_range(*_CT_WINDOW))
        self._percentiles.clicked.connect(self._choose_percentiles)
        self._keep.clicked.connect(self.kept)
        self._revert.clicked.connect(self.revert_requested)

    def show_report(self, report: RangeReport, changed: bool) -> None:
        """Show the values of an image beside a fixed range.

        Parameters
        ----------
        report
            Comparison of image and model.
        changed
            Whether the user has chosen the range here.
        """
        low, high = report.expected
        image = f"this image has {report.low:.4g} … {report.high:.4g}"
        if changed:
            message = f"{low:.4g} … {high:.4g} are black to white now; {image}"
        else:
            message = f"The model expects {low:.4g} … {high:.4g}; {image}"
        ending = f": {report.problem}." if report.problem else "."
        self._show(f"{message}{ending}", changed)
        self._histogram.setVisible(True)
        self._histogram.show_values(report.values)
        self._histogram.show_range(low, high)
        self._ct.setVisible(report.low <= _AIR)

    def show_percentiles(self) -> None:
        """Show that the range follows from every slice."""
        self._show("Percentiles of every slice are black to white now.", True)
        self._histogram.setVisible(False)

    def _show(self, message: str, changed: bool) -> None:
        self._text.setText(message)
        self._keep.setVisible(not changed)
        self._revert.setVisible(changed)
        self.setVisible(True)

    def _choose_range(self, low: float, high: float) -> None:
        values: dict[str, Any] = {"intensity": "range", "low": low, "high": high}
        self.chosen.emit(values)

    def _choose_percentiles(self) -> None:
        low, high = _PERCENTILES
        self.chosen.emit({"intensity": "percentile", "low": low, "high": high})
