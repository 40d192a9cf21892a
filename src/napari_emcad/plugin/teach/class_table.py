"""The table of classes, with the number of annotated pixels and strokes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt, QTimer, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QColorDialog, QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from napari_emcad.plugin.annotations.layer import BACKGROUND_COLOR
from napari_emcad.plugin.widgets.helpers import shorten
from napari_emcad.plugin.widgets.table import RowTable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qtpy.QtWidgets import QTableWidgetItem

    from napari_emcad.io.checkpoints.classes import ClassLabel

_COLOR, _NAME, _PIXELS, _STROKES = range(4)
_SWATCH = 14
_COLOR_ROLE = Qt.ItemDataRole.UserRole


class ClassTable(QWidget):
    """Lists the background and the classes; a click on a row selects the class to paint.

    Signals
    -------
    class_chosen
        Number of the class to paint; the background is class 0.
    add_requested
        A new class.
    remove_requested
        Number of the class to remove.
    undo_requested
        The removal of a class is to be undone.
    renamed, recolored
        Number of a class, and its new name or color.
    """

    class_chosen = Signal(int)
    add_requested = Signal()
    remove_requested = Signal(int)
    undo_requested = Signal()
    renamed = Signal(int, str)
    recolored = Signal(int, str)

    def __init__(self) -> None:
        super().__init__()
        self._classes: tuple[ClassLabel, ...] = ()
        self._typed = False
        self._rows = RowTable(("", "Class", "Pixels", "Strokes"), wide=(_NAME,), most=7)
        self._rows.setToolTip("Click a class to paint it; double-click its name or color to change")
        self._rows.cellClicked.connect(self._clicked)
        self._rows.row_chosen.connect(lambda row: self._clicked(row, _NAME))
        self._rows.cellDoubleClicked.connect(self._double_clicked)
        self._rows.itemChanged.connect(self._changed)
        self._add, self._remove = QPushButton("Add class"), QPushButton("Remove")
        self._add.setToolTip("Adds a class and paints with it")
        self._add.clicked.connect(self.add_requested)
        self._remove.clicked.connect(lambda: self.remove_requested.emit(self.current))
        self._remove.setToolTip("Removes the class; asks what becomes of its strokes")
        self._undo = QPushButton()
        self._undo.setToolTip("Brings the class and its strokes back")
        self._undo.clicked.connect(self.undo_requested)
        buttons = QHBoxLayout()
        buttons.addWidget(self._add)
        buttons.addWidget(self._remove)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._rows)
        column.addLayout(buttons)
        column.addWidget(self._undo)
        self.show_undo("")

    def show_undo(self, name: str) -> None:
        """Offer to bring a removed class back; "" for none."""
        self._undo.setText(f"Undo the removal of “{shorten(name, 20)}”")
        self._undo.setVisible(bool(name))

    @property
    def current(self) -> int:
        """Number of the selected class; -1 for none."""
        return int(self._rows.currentRow())

    def show_classes(
        self,
        classes: Sequence[ClassLabel],
        pixels: Mapping[int, int],
        strokes: Mapping[int, int],
    ) -> None:
        """Show names, colors, and numbers of annotated pixels and strokes."""
        self._classes = tuple(classes)
        listed = [("background", BACKGROUND_COLOR), *((c.name, c.color) for c in classes)]
        with QSignalBlocker(self._rows):
            self._rows.set_count(len(listed))
            for k, (name, color) in enumerate(listed):
                self._show_row(k, name, color, pixels.get(k, 0), strokes.get(k, 0))
        self._remove.setEnabled(self.current > 0 and len(classes) > 1)

    def show_current(self, k: int) -> None:
        """Select the class that is being painted; -1 for none."""
        with QSignalBlocker(self._rows):
            self._rows.select(k, _NAME)
        self._remove.setEnabled(k > 0 and len(self._classes) > 1)

    def edit_again(self, k: int, name: str) -> None:
        """Open the editor of a name that the user has typed and that was refused."""
        if self._typed:
            QTimer.singleShot(0, partial(self._open_editor, k, name))

    def _open_editor(self, k: int, name: str) -> None:
        if 0 < k < self._rows.rowCount():
            self._rows.setCurrentCell(k, _NAME)
            self._rows.editItem(self._rows.item(k, _NAME))
            for editor in self._rows.findChildren(QLineEdit):
                editor.setText(name)

    def _show_row(self, k: int, name: str, color: str, pixels: int, strokes: int) -> None:
        key = f" (Alt+{k})" if k < 10 else ""
        swatch = self._rows.put(k, _COLOR, "", "Double-click to change the color" if k else " ")
        if swatch.data(_COLOR_ROLE) != color:
            swatch.setData(_COLOR_ROLE, color)
            swatch.setIcon(_icon(color))
        self._rows.put(k, _NAME, name, f"Paint {name}{key}; double-click to rename", editable=k > 0)
        self._rows.put(k, _PIXELS, f"{pixels:,}")
        self._rows.put(k, _STROKES, f"{strokes:,}")

    def _clicked(self, row: int, _: int) -> None:
        self._remove.setEnabled(row > 0 and len(self._classes) > 1)
        self.class_chosen.emit(row)

    def _double_clicked(self, row: int, column: int) -> None:
        if column == _COLOR and row > 0:
            chosen = QColorDialog.getColor(QColor(self._classes[row - 1].color), self)
            if chosen.isValid():
                self.recolored.emit(row, chosen.name())

    def _changed(self, item: QTableWidgetItem) -> None:
        if item.column() == _NAME and 0 < item.row() <= len(self._classes):
            self._typed = self._rows.editing
            self.renamed.emit(item.row(), item.text())


def _icon(color: str) -> QIcon:
    swatch = QPixmap(_SWATCH, _SWATCH)
    swatch.fill(QColor(color))
    return QIcon(swatch)
