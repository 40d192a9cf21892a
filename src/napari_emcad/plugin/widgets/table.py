"""A table that is as high as its rows, up to a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtGui import QKeyEvent

_ROW_HEIGHT = 24

_CHOOSING = {Qt.Key.Key_Return, Qt.Key.Key_Enter}
_MOVING = {
    *(Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Home, Qt.Key.Key_End),
    *(Qt.Key.Key_PageUp, Qt.Key.Key_PageDown),
}


class RowTable(QTableWidget):
    """A table in which the user selects whole rows.

    Parameters
    ----------
    titles
        Titles of the columns.
    wide
        Numbers of the columns that share the remaining width.
    most
        Largest number of rows that are shown without scrolling.

    Signals
    -------
    row_chosen
        Number of a row that was chosen with a key.
    """

    row_chosen = Signal(int)

    def __init__(self, titles: Sequence[str], wide: Sequence[int] = (0,), most: int = 5) -> None:
        super().__init__(0, len(titles))
        self.setTabKeyNavigation(False)  # Tab leaves the table
        self._most = most
        self.setHorizontalHeaderLabels(list(titles))
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setShowGrid(False)
        self.setWordWrap(False)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setMinimumSectionSize(24)
        for column in range(len(titles)):
            mode = QHeaderView.ResizeMode.ResizeToContents
            if column in wide:
                mode = QHeaderView.ResizeMode.Stretch
            header.setSectionResizeMode(column, mode)
        self._fit_height()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Choose a row with the arrow keys, Enter or Space; Space ticks a row that has a box."""
        row, item = self.currentRow(), self.currentItem()
        ticks = item is not None and bool(item.flags() & Qt.ItemFlag.ItemIsUserCheckable)
        chosen = event.key() in _CHOOSING or (event.key() == Qt.Key.Key_Space and not ticks)
        if not chosen:
            super().keyPressEvent(event)
        moved = event.key() in _MOVING and self.currentRow() != row
        if (chosen or moved) and self.currentRow() >= 0 and not self.editing:
            self.row_chosen.emit(self.currentRow())

    def fix_width(self, column: int, width: int) -> None:
        """Set the width of a column that has no text."""
        self.horizontalHeader().setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
        self.setColumnWidth(column, width)

    def set_count(self, count: int) -> None:
        """Set the number of rows."""
        self.setRowCount(count)
        self._fit_height()

    def put(
        self,
        row: int,
        column: int,
        value: str,
        tip: str = "",
        editable: bool = False,
        checkable: bool = False,
    ) -> QTableWidgetItem:
        """Show a text in a cell and return its item; numbers are aligned to the right.

        Only what differs is set, because Qt fills an open editor anew after every change of its
        item. A cell that the user edits stays as it is.
        """
        item = self.item(row, column)
        if item is None:
            item = QTableWidgetItem()
            self.setItem(row, column, item)
        elif self.is_edited(row, column):
            return item
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        if editable:
            flags |= Qt.ItemFlag.ItemIsEditable
        if checkable:
            flags |= Qt.ItemFlag.ItemIsUserCheckable
        if item.flags() != flags:
            item.setFlags(flags)
        if item.text() != value:
            item.setText(value)
        if item.toolTip() != (tip or value):
            item.setToolTip(tip or value)
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if value.replace(",", "").isdigit() and item.textAlignment() != right:
            item.setTextAlignment(right)
        return item

    @property
    def editing(self) -> bool:
        """Whether the user edits a cell."""
        return bool(self.state() == QAbstractItemView.State.EditingState)

    def is_edited(self, row: int, column: int) -> bool:
        """Return whether the user edits a cell."""
        return self.editing and (self.currentRow(), self.currentColumn()) == (row, column)

    def select(self, row: int, column: int) -> None:
        """Select a row, -1 for none, unless the user edits a cell."""
        if self.editing or (self.currentRow(), self.currentColumn()) == (row, column):
            return
        self.setCurrentCell(row, column if row >= 0 else -1)
        if row < 0:
            self.clearSelection()

    def sizeHint(self) -> QSize:
        """Return the height of the rows."""
        return QSize(200, self._height())

    def minimumSizeHint(self) -> QSize:
        """Return a size that lets the panel be narrow."""
        return QSize(120, self._height())

    def _height(self) -> int:
        rows = min(max(self.rowCount(), 1), self._most)
        header = self.horizontalHeader().sizeHint().height()
        return int(header + rows * _ROW_HEIGHT + 2 * self.frameWidth() + 2)

    def _fit_height(self) -> None:
        self.setFixedHeight(self._height())
        self.updateGeometry()
