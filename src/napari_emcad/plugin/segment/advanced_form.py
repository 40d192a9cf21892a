"""The form for advanced settings of the inference."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QWidget

from napari_emcad.plugin.widgets.helpers import caption, decimal, form, spin

if TYPE_CHECKING:
    from napari_emcad.imaging.regions import CleanUp
    from napari_emcad.inference.events import InferenceSettings


class AdvancedForm(QWidget):
    """Edits an `InferenceSettings`; device and object separation are chosen elsewhere.

    Parameters
    ----------
    settings
        Initial settings.

    Signals
    -------
    changed
        A setting has changed.
    """

    changed = Signal()

    def __init__(self, settings: InferenceSettings) -> None:
        super().__init__()
        self._settings = settings
        self._tile = spin(64, 8192, 64, "px")
        self._overlap = decimal(0, 0.9, 0.05)
        self._batch = spin(0, 256, off="automatic")
        self._threshold = decimal(0.01, 0.99, 0.05)
        self._stretch = QCheckBox("stretch probabilities")
        self._stretch.setToolTip(
            "As in published evaluations; every slice gets at least one object pixel"
        )
        self._full_precision = QCheckBox("full precision on GPUs")
        self._fill_holes = spin(0, 10**6, 10, "px", off="off")
        self._smallest = spin(0, 10**6, 10, "px", off="off")
        self._largest = QCheckBox("largest area only")
        self._neck = spin(1, 500, 1, "px")
        self._neck.setToolTip("Centers of touching objects lie at least this far apart")
        self._probabilities = QCheckBox("keep probability layers")
        self._build()
        self.set_value(settings)

    def value(self) -> InferenceSettings:
        """Return the settings."""
        return replace(
            self._settings,
            tile=self._tile.value(),
            overlap=self._overlap.value(),
            batch=self._batch.value() or None,
            threshold=self._threshold.value(),
            stretch=self._stretch.isChecked(),
            full_precision=self._full_precision.isChecked(),
            probabilities=self._probabilities.isChecked(),
            clean_up=self._clean_up(),
        )

    def set_value(self, settings: InferenceSettings) -> None:
        """Show settings."""
        self._settings = settings
        self._tile.setValue(settings.tile)
        self._overlap.setValue(settings.overlap)
        self._batch.setValue(settings.batch or 0)
        self._threshold.setValue(settings.threshold)
        self._stretch.setChecked(settings.stretch)
        self._full_precision.setChecked(settings.full_precision)
        self._probabilities.setChecked(settings.probabilities)
        self._fill_holes.setValue(settings.clean_up.fill_holes)
        self._smallest.setValue(settings.clean_up.smallest_object)
        self._largest.setChecked(settings.clean_up.largest_component)
        self._neck.setValue(settings.clean_up.neck)

    def enable_fields(self, binary: bool, tiled: bool) -> None:
        """Enable the settings that have an effect.

        Parameters
        ----------
        binary
            Whether the network has one class.
        tiled
            Whether images are cut into tiles.
        """
        self._threshold.setEnabled(binary)
        self._stretch.setEnabled(binary)
        self._tile.setEnabled(tiled)
        self._overlap.setEnabled(tiled)

    def _clean_up(self) -> CleanUp:
        return replace(
            self._settings.clean_up,
            fill_holes=self._fill_holes.value(),
            smallest_object=self._smallest.value(),
            largest_component=self._largest.isChecked(),
            neck=self._neck.value(),
        )

    def _build(self) -> None:
        rows = form(self)
        rows.addRow(caption("Tile"), self._tile)
        rows.addRow(caption("Overlap"), self._overlap)
        rows.addRow(caption("Batch"), self._batch)
        rows.addRow(caption("Threshold"), self._threshold)
        rows.addRow(caption(""), self._stretch)
        rows.addRow(caption("Fill holes to"), self._fill_holes)
        rows.addRow(caption("Drop below"), self._smallest)
        rows.addRow(caption(""), self._largest)
        rows.addRow(caption("Spacing"), self._neck)
        rows.addRow(caption(""), self._probabilities)
        rows.addRow(caption(""), self._full_precision)
        numbers = (self._tile, self._overlap, self._batch, self._threshold, self._neck)
        for box in (*numbers, self._fill_holes, self._smallest):
            box.valueChanged.connect(lambda _: self.changed.emit())
        checks = (self._stretch, self._full_precision, self._largest, self._probabilities)
        for check in checks:
            check.toggled.connect(lambda _: self.changed.emit())
