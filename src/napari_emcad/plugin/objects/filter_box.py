"""The fields of the Objects tab that keep the objects within a range of one column."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QDoubleSpinBox, QPushButton, QVBoxLayout, QWidget

from napari_emcad.plugin.widgets.helpers import (
    caption,
    combo,
    form,
    list_items,
    require_focus_for_wheel,
    row,
)
from napari_emcad.plugin.widgets.histogram import Histogram

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_emcad.pipelines.object_table import ObjectTable

_LARGEST = 1e12


class FilterBox(QWidget):
    """Chooses a column and the range of its values.

    Signals
    -------
    changed
        Mask of the rows that are kept.
    remove_requested
        The objects that are not kept are to be removed.
    save_requested
        The table is to be written to a file.
    """

    changed = Signal(object)
    remove_requested = Signal()
    save_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._table: ObjectTable | None = None
        self._column = combo()
        self._column.setToolTip("Column by which objects are kept")
        self._low, self._high = bound("from"), bound("to")
        self._low.setToolTip("Least value that is kept, in the unit of the column")
        self._high.setToolTip("Largest value that is kept, in the unit of the column")
        self._histogram = Histogram(
            "Number of objects by value; drag the bounds of the range that is kept"
        )
        self._all = QPushButton("Keep all")
        self._all.setToolTip("Shows all objects again")
        self._remove = QPushButton("Remove the others")
        self._remove.setToolTip("Sets the objects outside of the range to 0; Ctrl+Z undoes it")
        self._save = QPushButton("Save CSV …")
        self._save.setToolTip("Writes the rows that are shown, with units in the header")
        kept = QWidget()
        ranges = form(kept)
        ranges.addRow(caption("Keep"), self._column)
        ranges.addRow(caption(""), row(self._low, self._high))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(kept)
        column.addWidget(self._histogram)
        column.addWidget(row(self._all, self._remove, self._save))
        self._connect()

    def show_table(self, table: ObjectTable | None) -> None:
        """List the numeric columns of a table, and keep all of its rows."""
        self._table = table
        before = self._column.currentData()
        titles: dict[str, str] = {}
        if table is not None:
            titles = dict(zip(table.columns, table.header, strict=True))
        names = [] if table is None else [n for n in table.columns if _is_filterable(table, n)]
        with QSignalBlocker(self._column):
            list_items(self._column, [(titles[n].replace("_", " "), n, "") for n in names])
            wanted = next((n for n in (before, "area", "volume", *names) if n in names), None)
            self._column.setCurrentIndex(-1 if wanted is None else names.index(wanted))
        self._show_column()

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
        self._histogram.show_range(self._low.value(), self._high.value())
        self.changed.emit(self.kept)

    def _connect(self) -> None:
        self._column.currentIndexChanged.connect(self._show_column)
        for box in (self._low, self._high):
            box.valueChanged.connect(self._filter_rows)
        self._histogram.range_dragged.connect(self._drag_range)
        self._all.clicked.connect(self._show_column)
        self._remove.clicked.connect(self.remove_requested)
        self._save.clicked.connect(self.save_requested)


def bound(prefix: str) -> QDoubleSpinBox:
    """Return a spin box for one end of a range."""
    box = QDoubleSpinBox()
    box.setRange(-_LARGEST, _LARGEST)
    box.setPrefix(f"{prefix} ")
    box.setKeyboardTracking(False)
    box.setMinimumWidth(60)
    require_focus_for_wheel(box)
    return box


def _is_filterable(table: ObjectTable, name: str) -> bool:
    return name != "label" and table.columns[name].dtype.kind in "iufb"
