"""The form for advanced settings of the inference."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QWidget

from napari_emcad.plugin.widgets.helpers import caption, decimal, form, spin

if TYPE_CHECKING:
    from napari_emcad.inference.events import InferenceSettings


class AdvancedForm(QWidget):
    """Edits tiles, batch, precision and outputs of an `InferenceSettings`.

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
        self._tile.setToolTip("Side of the tiles that the network sees, in pixels (512)")
        self._overlap = decimal(0, 0.9, 0.05)
        self._overlap.setToolTip("Share of a tile that overlaps with the next one (0.25)")
        self._batch = spin(0, 256, off="automatic")
        self._batch.setToolTip("Tiles that are computed at once (automatic: by the processor)")
        self._full_precision = QCheckBox("full precision")
        self._full_precision.setToolTip("float32 also where half precision is quicker (off)")
        self._probabilities = QCheckBox("keep probability layers")
        self._probabilities.setToolTip("Adds a layer per class with its probability, 0 … 1 (off)")
        self._build()
        self.set_value(settings)

    def value(self) -> InferenceSettings:
        """Return the settings."""
        return replace(
            self._settings,
            tile=self._tile.value(),
            overlap=self._overlap.value(),
            batch=self._batch.value() or None,
            full_precision=self._full_precision.isChecked(),
            probabilities=self._probabilities.isChecked(),
        )

    def set_value(self, settings: InferenceSettings) -> None:
        """Show settings."""
        self._settings = settings
        self._tile.setValue(settings.tile)
        self._overlap.setValue(settings.overlap)
        self._batch.setValue(settings.batch or 0)
        self._full_precision.setChecked(settings.full_precision)
        self._probabilities.setChecked(settings.probabilities)

    def enable_fields(self, tiled: bool) -> None:
        """Enable the settings of tiles if images are cut into tiles."""
        self._tile.setEnabled(tiled)
        self._overlap.setEnabled(tiled)

    def _build(self) -> None:
        rows = form(self)
        rows.addRow(caption("Tile"), self._tile)
        rows.addRow(caption("Overlap"), self._overlap)
        rows.addRow(caption("Batch"), self._batch)
        rows.addRow(caption(""), self._probabilities)
        rows.addRow(caption(""), self._full_precision)
        for box in (self._tile, self._overlap, self._batch):
            box.valueChanged.connect(lambda _: self.changed.emit())
        for check in (self._full_precision, self._probabilities):
            check.toggled.connect(lambda _: self.changed.emit())
