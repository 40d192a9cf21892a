"""The Objects tab's fields: which layer, the table of its objects, and a filter by a range."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QItemSelectionModel, QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QDoubleSpinBox,
    QFileDialog,
    QPushButton,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from napari_emcad.imaging.link_objects import LinkSettings
from napari_emcad.plugin.objects.table_model import ColumnsModel, RowFilter
from napari_emcad.plugin.widgets.helpers import (
    caption,
    combo,
    form,
    list_items,
    require_focus_for_wheel,
    row,
    text,
)
from napari_emcad.plugin.widgets.histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_emcad.pipelines.object_table import ObjectTable

_ROW_HEIGHT = 22
_LARGEST = 1e12


class ObjectsPanel(QWidget):
    """Shows a table of objects; it measures nothing itself.

    Signals
    -------
    layer_chosen
        The Labels layer that the user chose, or None.
    measure_requested
        The user pressed Measure.
    link_requested
        Least overlap of objects that are linked from slice to slice.
    row_chosen
        Row of the table that the user clicked.
    filter_changed
        Mask of the rows that are kept.
    remove_requested
        The objects that are not kept are to be removed.
    save_requested
        Path of a CSV file to write.
    """

    layer_chosen = Signal(object)
    measure_requested = Signal()
    link_requested = Signal(float)
    row_chosen = Signal(int)
    filter_changed = Signal(object)
    remove_requested = Signal()
    save_requested = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._layers: list[Labels] = []
        self._table: ObjectTable | None = None
        self._layer, self._column = combo(), combo()
        self._overlap = _bound("overlap")
        self._overlap.setRange(0.05, 1.0)
        self._overlap.setSingleStep(0.05)
        self._overlap.setValue(LinkSettings().overlap)
        self._overlap.setToolTip("Intersection over union of an object in neighboring slices")
        self._link = QPushButton("Link")
        self._link.setToolTip("A new layer in which an object has one number in all its slices")
        self._measure = QPushButton("Measure")
        self._measure.setStyleSheet("font-weight: bold; padding: 8px;")
        self._model, self._filter, self._view = ColumnsModel(), RowFilter(), QTableView()
        self._low, self._high = _bound("from"), _bound("to")
        self._histogram = Histogram(
            "Number of objects by value; drag the bounds of the range that is kept"
        )
        self._all = QPushButton("Keep all")
        self._all.setToolTip("Shows all objects again")
        self._remove = QPushButton("Remove the others")
        self._remove.setToolTip("Sets the objects outside of the range to 0; Ctrl+Z undoes it")
        self._save = QPushButton("Save CSV …")
        self._save.setToolTip("Writes the rows that are shown, with units in the header")
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
        self._rows.setRowVisible(self._linking, chosen is not None and chosen.ndim > 2)

    def show_reason(self, reason: str) -> None:
        """Enable Measure, or show why it is disabled."""
        for button in (self._measure, self._link):
            button.setEnabled(not reason)
        self._reason.setText(reason)
        self._reason.setVisible(bool(reason))

    def show_table(self, table: ObjectTable | None) -> None:
        """Show a table and its numeric columns to filter by; None removes it."""
        self._table = table
        self._filter.keep(None)
        self._model.show_table(table)
        self._view.resizeColumnsToContents()
        names = [] if table is None else [n for n in table.columns if _is_filterable(table, n)]
        before = self._column.currentData()
        with QSignalBlocker(self._column):
            titles = {name: name for name in names}
            if table is not None:
                titles = dict(zip(table.columns, table.header, strict=True))
            list_items(self._column, [(titles[n].replace("_", " "), n, "") for n in names])
            wanted = next((n for n in (before, "area", "volume", *names) if n in names), None)
            self._column.setCurrentIndex(-1 if wanted is None else names.index(wanted))
        for widget in (self._view, self._below):
            widget.setVisible(table is not None and len(table) > 0)
        self._show_column()

    def show_summary(self, summary: str) -> None:
        """Show a line about the table."""
        self._summary.setText(summary)
        self._summary.setVisible(bool(summary))

    def select_row(self, number: int) -> None:
        """Select a row of the table and scroll to it, without reporting it as chosen."""
        index = self._filter.mapFromSource(self._model.index(number, 0))
        flags = QItemSelectionModel.SelectionFlag
        with QSignalBlocker(self._view.selectionModel()):
            self._view.selectionModel().select(index, flags.ClearAndSelect | flags.Rows)
        self._view.viewport().update()
        self._view.scrollTo(index)

    def show_removable(self, removable: bool) -> None:
        """Enable the removal of the objects that are not kept."""
        self._remove.setEnabled(removable)

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Mask of the rows whose value is in the range."""
        if self._table is None or self._column.currentData() is None:
            return np.ones(0 if self._table is None else len(self._table), bool)
        values = np.asarray(self._table.columns[self._column.currentData()], float)
        mask: NDArray[np.bool_] = (values >= self._low.value()) & (values <= self._high.value())
        return mask

    def _show_column(self, _: int = 0) -> None:
        """Show all values of a column."""
        name = self._column.currentData()
        values = np.zeros(0)
        if self._table is not None and name is not None:
            values = np.asarray(self._table.columns[name], float)
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
        step = 10 ** np.floor(np.log10(max(high - low, 1e-6))) / 10
        decimals = int(np.clip(2 - np.floor(np.log10(max(high - low, 1e-6))), 0, 6))
        for box, value, rounded in ((self._low, low, np.floor), (self._high, high, np.ceil)):
            with QSignalBlocker(box):
                box.setDecimals(decimals)
                box.setSingleStep(step)
                box.setValue(float(rounded(value * 10**decimals) / 10**decimals))
        self._histogram.show_values(values)
        self._filter_rows()

    def _drag_range(self, low: float, high: float) -> None:
        """Show the range of the histogram in the fields, which round it, and filter by it."""
        for box, value in ((self._low, low), (self._high, high)):
            with QSignalBlocker(box):
                box.setValue(value)
        self._filter_rows()

    def _filter_rows(self, _: float = 0.0) -> None:
        kept = self.kept
        self._histogram.show_range(self._low.value(), self._high.value())
        self._filter.keep(None if kept.all() else kept)
        self.filter_changed.emit(kept)

    def _choose_layer(self, index: int) -> None:
        self.layer_chosen.emit(self._layers[index] if 0 <= index < len(self._layers) else None)

    def _choose_row(self, index: Any, _: Any = None) -> None:
        if index.isValid():
            self.row_chosen.emit(self._filter.mapToSource(index).row())

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
        self._link.clicked.connect(lambda: self.link_requested.emit(self._overlap.value()))
        self._column.currentIndexChanged.connect(self._show_column)
        for box in (self._low, self._high):
            box.valueChanged.connect(self._filter_rows)
        self._view.selectionModel().currentChanged.connect(self._choose_row)
        self._histogram.range_dragged.connect(self._drag_range)
        self._view.clicked.connect(self._choose_row)
        self._all.clicked.connect(self._show_column)
        self._remove.clicked.connect(self.remove_requested)
        self._save.clicked.connect(self._save_as)

    def _build(self) -> None:
        self._filter.setSourceModel(self._model)
        self._view.setModel(self._filter)
        self._view.setSortingEnabled(True)
        self._view.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
        self._view.verticalHeader().hide()
        self._view.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
        self._view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self._view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self._view.setTabKeyNavigation(False)
        self._view.setToolTip("Click a row to go to the object; click an object to find its row")
        top, self._below = QWidget(), QWidget()
        self._rows, self._linking = form(top), row(self._overlap, self._link)
        self._rows.addRow(caption("Labels"), self._layer)
        self._rows.addRow(caption("Slices"), self._linking)
        below = QVBoxLayout(self._below)
        below.setContentsMargins(0, 0, 0, 0)
        kept = QWidget()
        ranges = form(kept)
        ranges.addRow(caption("Keep"), self._column)
        ranges.addRow(caption(""), row(self._low, self._high))
        below.addWidget(kept)
        below.addWidget(self._histogram)
        below.addWidget(row(self._all, self._remove, self._save))
        column = QVBoxLayout(self)
        column.addWidget(top)
        column.addWidget(self._view, 1)
        column.addWidget(self._summary)
        column.addWidget(self._below)
        column.addStretch(0)
        column.addWidget(self._measure)
        column.addWidget(self._reason)


def _bound(prefix: str) -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setRange(-_LARGEST, _LARGEST)
    box.setPrefix(f"{prefix} ")
    box.setKeyboardTracking(False)
    box.setMinimumWidth(60)
    require_focus_for_wheel(box)
    return box


def _is_filterable(table: ObjectTable, name: str) -> bool:
    return name != "label" and table.columns[name].dtype.kind in "iufb"
