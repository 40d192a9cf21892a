"""A table of values in which the user selects, sorts and filters rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QItemSelectionModel, QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QTableView

from napari_emcad.plugin.widgets.columns_model import ColumnsModel, RowFilter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_emcad.plugin.widgets.columns_model import Columns

_ROW_HEIGHT = 22


class ValueTable(QTableView):
    """Shows columns of values; rows are numbered as in the columns, however they are sorted.

    Parameters
    ----------
    tip
        Tool tip.
    several
        Whether several rows can be selected.

    Signals
    -------
    row_chosen
        Number of the row that the user clicked, or reached with a key.
    selection_changed
        Other rows are selected.
    """

    row_chosen = Signal(int)
    selection_changed = Signal()

    def __init__(self, tip: str, several: bool = False) -> None:
        super().__init__()
        self._columns, self._rows = ColumnsModel(), RowFilter()
        self._rows.setSourceModel(self._columns)
        self.setModel(self._rows)
        self.setToolTip(tip)
        self.setTabKeyNavigation(False)  # Tab leaves the table
        self.setSortingEnabled(True)
        self.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
        mode = QAbstractItemView.SelectionMode
        self.setSelectionMode(mode.ExtendedSelection if several else mode.SingleSelection)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.selectionModel().currentChanged.connect(self._choose)
        self.selectionModel().selectionChanged.connect(lambda *_: self.selection_changed.emit())
        self.clicked.connect(self._choose)

    @property
    def count(self) -> int:
        """Number of rows, also of those that are hidden."""
        return self._columns.rowCount()

    def show_columns(self, columns: Columns | None) -> None:
        """Show other columns and all of their rows; None shows nothing."""
        self._rows.keep(None)
        self._columns.show_table(columns)
        self.resizeColumnsToContents()

    def update_columns(self, columns: Columns) -> None:
        """Show other values of the same rows; selection, order and hidden rows stay."""
        if self._columns.update_table(columns):
            return
        selected = self.selected_rows
        self._columns.show_table(columns)
        for number in selected:
            self.select_row(number, add=True)

    def keep(self, mask: NDArray[np.bool_] | None) -> None:
        """Show these rows only; None shows all of them."""
        self._rows.keep(mask)

    @property
    def selected_rows(self) -> list[int]:
        """Numbers of the selected rows."""
        rows = self.selectionModel().selectedRows()
        return sorted(self._rows.mapToSource(index).row() for index in rows)

    def select_row(self, number: int, add: bool = False) -> None:
        """Select a row and scroll to it, without reporting it as chosen.

        Parameters
        ----------
        number
            Number of the row.
        add
            Whether other rows stay selected; a selected row is deselected then.
        """
        index = self._rows.mapFromSource(self._columns.index(number, 0))
        flags = QItemSelectionModel.SelectionFlag
        change = flags.Toggle if add else flags.ClearAndSelect
        with QSignalBlocker(self.selectionModel()):
            self.selectionModel().select(index, change | flags.Rows)
            self.selectionModel().setCurrentIndex(index, flags.NoUpdate)  # for the arrow keys
        self.viewport().update()
        self.scrollTo(index)
        self.selection_changed.emit()

    def _choose(self, index: Any, _: Any = None) -> None:
        if index.isValid():
            self.row_chosen.emit(self._rows.mapToSource(index).row())
