"""The form for the threshold and the clean-up of labels, which act on a result at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QPushButton, QWidget

from napari_emcad.plugin.widgets.helpers import caption, decimal, form, spin, text
from napari_emcad.plugin.widgets.number_slider import NumberSlider

if TYPE_CHECKING:
    from napari_emcad.imaging.regions import CleanUp
    from napari_emcad.inference.events import InferenceSettings

_MOST_PIXELS, _MOST_SPACING = 10_000, 100
"""Values at the right ends of the sliders; the boxes take larger ones."""


class CleanUpForm(QWidget):
    """Edits threshold, stretching and clean-up of an `InferenceSettings`.

    Parameters
    ----------
    settings
        Initial settings.

    Signals
    -------
    changed
        A setting has changed.
    apply_requested
        All slices are to get the present settings.
    """

    changed = Signal()
    apply_requested = Signal()

    def __init__(self, settings: InferenceSettings) -> None:
        super().__init__()
        self._threshold = NumberSlider(decimal(0.01, 0.99, 0.05), 0.99)
        self._threshold.setToolTip(
            "Probability, 0.01 … 0.99, above which a pixel is an object (0.5); for one class only"
        )
        self._stretch = QCheckBox("stretch probabilities")
        self._stretch.setToolTip(
            "As in published evaluations; every slice gets at least one object pixel"
        )
        self._fill_holes, self._smallest = (
            NumberSlider(spin(0, 10**6, 10, "px", off="off"), _MOST_PIXELS, logarithmic=True)
            for _ in range(2)
        )
        self._fill_holes.setToolTip("Largest hole that is filled, in pixels (off)")
        self._smallest.setToolTip("Smaller objects are removed, in pixels (off)")
        self._largest = QCheckBox("largest area only")
        self._largest.setToolTip("Keeps one connected area per class and slice")
        self._neck = NumberSlider(spin(1, 500, 1, "px"), _MOST_SPACING, logarithmic=True)
        self._neck.setToolTip("Centers of touching objects lie at least this far apart (5 px)")
        self._live = text()
        self._apply = QPushButton("Apply to all slices")
        self._apply.setToolTip("Computes the labels of all slices again, without the network")
        self._apply.clicked.connect(self.apply_requested)
        self._build()
        self.set_value(settings)
        self.show_live("", False)

    def value(self, settings: InferenceSettings) -> InferenceSettings:
        """Return settings with the values of the form."""
        return replace(
            settings,
            threshold=self._threshold.value(),
            stretch=self._stretch.isChecked(),
            clean_up=self._clean_up(settings.clean_up),
        )

    def set_value(self, settings: InferenceSettings) -> None:
        """Show settings."""
        clean_up = settings.clean_up
        self._threshold.setValue(settings.threshold)
        self._stretch.setChecked(settings.stretch)
        self._fill_holes.setValue(clean_up.fill_holes)
        self._smallest.setValue(clean_up.smallest_object)
        self._largest.setChecked(clean_up.largest_component)
        self._neck.setValue(clean_up.neck)

    def enable_fields(self, binary: bool, separate: bool) -> None:
        """Enable the settings that have an effect.

        Parameters
        ----------
        binary
            Whether the network has one class.
        separate
            Whether objects are separated.
        """
        self._threshold.setEnabled(binary)
        self._stretch.setEnabled(binary)
        self._neck.setEnabled(separate)

    def show_live(self, message: str, applicable: bool) -> None:
        """Show what the last change has reached, and whether it can be applied to all slices."""
        self._live.setText(message)
        self._live.setVisible(bool(message))
        self._apply.setVisible(applicable)

    def _clean_up(self, clean_up: CleanUp) -> CleanUp:
        return replace(
            clean_up,
            fill_holes=int(self._fill_holes.value()),
            smallest_object=int(self._smallest.value()),
            largest_component=self._largest.isChecked(),
            neck=int(self._neck.value()),
        )

    def _build(self) -> None:
        rows = form(self)
        rows.addRow(caption("Threshold"), self._threshold)
        rows.addRow(caption(""), self._stretch)
        rows.addRow(caption("Fill holes to"), self._fill_holes)
        rows.addRow(caption("Drop below"), self._smallest)
        rows.addRow(caption(""), self._largest)
        rows.addRow(caption("Spacing"), self._neck)
        rows.addRow(self._live)
        rows.addRow(caption(""), self._apply)
        for box in (self._threshold, self._fill_holes, self._smallest, self._neck):
            box.valueChanged.connect(lambda _: self.changed.emit())
        for check in (self._stretch, self._largest):
            check.toggled.connect(lambda _: self.changed.emit())
