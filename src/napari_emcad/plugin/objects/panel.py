"""The Objects tab's fields: which layer, the table of its objects, and a filter by a range."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QFileDialog, QPushButton, QVBoxLayout, QWidget

from napari_emcad.imaging.link_objects import LinkSettings
from napari_emcad.plugin.objects.correct_box import CorrectBox
from napari_emcad.plugin.objects.filter_box import FilterBox
from napari_emcad.plugin.widgets.helpers import (
    caption,
    combo,
    decimal,
    form,
    list_items,
    spin,
    text,
)
from napari_emcad.plugin.widgets.value_table import ValueTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_emcad.pipelines.object_table import ObjectTable

_LARGEST_GAP = 50
"""Most slices that can be bridged; every one is kept in memory."""


class ObjectsPanel(QWidget):
    """Shows a table of objects; it measures nothing itself.

    Attributes
    ----------
    table
        A row per object.
    correct, filter
        Buttons for single objects; the range of values that is kept.

    Signals
    -------
    layer_chosen
        The Labels layer that the user chose, or None.
    measure_requested
        The user pressed Measure.
    link_requested
        How objects are linked from slice to slice, a `LinkSettings`.
    filter_changed
        Mask of the rows that are kept.
    remove_requested
        The objects that are not kept are to be removed.
    save_requested
        Path of a CSV file to write.
    """

    layer_chosen = Signal(object)
    measure_requested = Signal()
    link_requested = Signal(object)
    filter_changed = Signal(object)
    remove_requested = Signal()
    save_requested = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._layers: list[Labels] = []
        self._layer = combo()
        self._layer.setToolTip("Labels layer whose objects are measured")
        self._overlap = decimal(0.05, 1.0, 0.05)
        self._overlap.setValue(LinkSettings().overlap)
        self._overlap.setToolTip(
            "Least intersection over union of an object in neighboring slices (0.25)"
        )
        self._gap = spin(0, _LARGEST_GAP, suffix="slices", off="none")
        self._gap.setToolTip("Slices in which an object may be missing (none)")
        self._link = QPushButton("Link")
        self._link.setToolTip("A new layer in which an object has one number in all its slices")
        self._measure = QPushButton("Measure")
        self._measure.setStyleSheet("font-weight: bold; padding: 8px;")
        self._measure.setToolTip("Measures every object of the layer: size, shape, intensity")
        self.table = ValueTable(
            "Click a row to go to the object, an object to find its row; Shift selects several",
            several=True,
        )
        self.correct, self.filter = CorrectBox(), FilterBox()
        self._reason, self._summary = text(), text()
        self._build()
        self._connect()
        self.show_table(None)

    def list_layers(self, layers: Sequence[Labels], chosen: Labels | None) -> None:
        """List Labels layers and show the chosen one."""
        self._layers = list(layers)
        with QSignalBlocker(self._layer):
            list_items(self._layer, [(one.name, one.unique_id, "") for one in layers])
            self._layer.setCurrentIndex(self._layers.index(chosen) if chosen in layers else -1)
        for widget in (self._overlap, self._gap, self._link):
            self._rows.setRowVisible(widget, chosen is not None and chosen.ndim > 2)

    def show_reason(self, reason: str) -> None:
        """Enable Measure, or show why it is disabled."""
        for button in (self._measure, self._link):
            button.setEnabled(not reason)
        self._reason.setText(reason)
        self._reason.setVisible(bool(reason))

    def show_table(self, table: ObjectTable | None) -> None:
        """Show a table and its numeric columns to filter by; None removes it."""
        self.table.show_columns(table)
        for widget in (self.table, self.filter, self.correct):
            widget.setVisible(table is not None and len(table) > 0)
        self.filter.show_table(table)

    def show_summary(self, summary: str) -> None:
        """Show a line about the table."""
        self._summary.setText(summary)
        self._summary.setVisible(bool(summary))

    def _request_link(self) -> None:
        self.link_requested.emit(LinkSettings(self._overlap.value(), self._gap.value()))

    def _filter_rows(self, kept: NDArray[np.bool_]) -> None:
        self.table.keep(None if kept.all() else kept)
        self.filter_changed.emit(kept)

    def _choose_layer(self, index: int) -> None:
        self.layer_chosen.emit(self._layers[index] if 0 <= index < len(self._layers) else None)

    def _save_as(self) -> None:
        """Ask for a path, and request that the table is written there."""
        path, _ = QFileDialog.getSaveFileName(
            self, "Save table", f"{self._layer.currentText()}.csv", "Tables (*.csv)"
        )
        if path:
            chosen = Path(path)
            self.save_requested.emit(chosen if chosen.suffix else chosen.with_suffix(".csv"))

    def _connect(self) -> None:
        self._layer.currentIndexChanged.connect(self._choose_layer)
        self._measure.clicked.connect(self.measure_requested)
        self._link.clicked.connect(self._request_link)
        self.filter.changed.connect(self._filter_rows)
        self.filter.remove_requested.connect(self.remove_requested)
        self.filter.save_requested.connect(self._save_as)

    def _build(self) -> None:
        top = QWidget()
        self._rows = form(top)
        self._rows.addRow(caption("Labels"), self._layer)
        self._rows.addRow(caption("Overlap"), self._overlap)
        self._rows.addRow(caption("Gap"), self._gap)
        self._rows.addRow(caption(""), self._link)
        column = QVBoxLayout(self)
        column.addWidget(top)
        column.addWidget(self.table, 1)
        column.addWidget(self._summary)
        column.addWidget(self.correct)
        column.addWidget(self.filter)
        column.addStretch(0)
        column.addWidget(self._measure)
        column.addWidget(self._reason)
