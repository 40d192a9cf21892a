"""Shows columns of values in a table view that sorts numbers as numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from qtpy.QtCore import QAbstractTableModel, QModelIndex, QSortFilterProxyModel, Qt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_ROLE = Qt.ItemDataRole


class Columns(Protocol):
    """Columns of one length; an `ObjectTable`, for example."""

    @property
    def columns(self) -> Mapping[str, NDArray[Any]]:
        """The values by name."""

    @property
    def header(self) -> list[str]:
        """Titles of the columns."""


class ColumnsModel(QAbstractTableModel):
    """The values of a table; the user role has numbers, to sort by."""

    def __init__(self) -> None:
        super().__init__()
        self._header: list[str] = []
        self._columns: list[NDArray[Any]] = []

    def show_table(self, table: Columns | None) -> None:
        """Show another table, or none."""
        self.beginResetModel()
        self._header = [] if table is None else table.header
        self._columns = [] if table is None else list(table.columns.values())
        self.endResetModel()

    def update_table(self, table: Columns) -> bool:
        """Show other values of the same rows and columns; return whether the table has these."""
        columns = list(table.columns.values())
        if table.header != self._header or not columns or len(columns[0]) != self.rowCount():
            return False
        self._columns = columns
        last = self.index(self.rowCount() - 1, self.columnCount() - 1)
        self.dataChanged.emit(self.index(0, 0), last)
        return True

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of rows."""
        return len(self._columns[0]) if self._columns else 0

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of columns."""
        return len(self._columns)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int) -> Any:
        """Return the name of a column with its unit."""
        if role == _ROLE.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return self._header[section].replace("_", " ")
        return None

    def data(self, index: QModelIndex, role: int) -> Any:
        """Return the text of a cell, its value, or its alignment."""
        value = self._columns[index.column()][index.row()]
        if role == _ROLE.UserRole:
            return value.item() if isinstance(value, np.generic) else value
        if role == _ROLE.DisplayRole:
            return _text(value)
        if role == _ROLE.TextAlignmentRole and not isinstance(value, str):
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None


class RowFilter(QSortFilterProxyModel):
    """Sorts by value, and shows the rows that are kept."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: NDArray[np.bool_] | None = None
        self.setSortRole(_ROLE.UserRole)

    def keep(self, kept: NDArray[np.bool_] | None) -> None:
        """Show these rows of the table only; None shows all of them."""
        self._kept = kept
        self.invalidate()

    def filterAcceptsRow(self, row: int, parent: QModelIndex) -> bool:
        """Return whether a row of the table is shown."""
        return self._kept is None or row >= len(self._kept) or bool(self._kept[row])


def _text(value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (float, np.floating)):
        return "–" if np.isnan(value) else f"{value:.4g}"
    return str(value)
