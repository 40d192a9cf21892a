"""The fields of the review queue."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHeaderView, QPushButton, QVBoxLayout, QWidget

from napari_emcad.plugin.widgets.helpers import row, text
from napari_emcad.plugin.widgets.value_table import ValueTable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_emcad.interactive.review_queue import ReviewItem

_HEIGHT = 150


@dataclass(frozen=True, slots=True, eq=False)
class _Columns:
    columns: Mapping[str, NDArray[Any]]

    @property
    def header(self) -> list[str]:
        return list(self.columns)


class ReviewBox(QWidget):
    """Lists images to review; it opens nothing itself.

    Signals
    -------
    folder_requested
        Path of a folder whose images are to be added.
    layers_requested, clear_requested
        The open images are to be added; all images are to be removed.
    row_requested
        Number of the image that the user chose.
    next_requested, previous_requested
        The next image that is not done; the one before.
    done_requested
        Whether the current image is done.
    """

    folder_requested = Signal(object)
    layers_requested = Signal()
    clear_requested = Signal()
    row_requested = Signal(int)
    next_requested = Signal()
    previous_requested = Signal()
    done_requested = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self._names: list[str] = []
        self._is_done = False
        self._folder, self._layers = QPushButton("Folder …"), QPushButton("Open images")
        self._clear = QPushButton("Clear")
        self._folder.setToolTip("Adds the images of a folder, which are opened in their turn")
        self._layers.setToolTip("Adds the images that are open")
        self._clear.setToolTip("Empties the list; layers and files stay")
        self._table = ValueTable("A click or the arrow keys open an image")
        self._table.setFixedHeight(_HEIGHT)
        self._table.row_chosen.connect(self.row_requested)
        self._count = text()
        self._previous, self._next = QPushButton("◀"), QPushButton("▶")
        self._done = QPushButton("Done, next")
        self._previous.setToolTip("The image before (Alt+PgUp)")
        self._next.setToolTip("The next image that is not done (Alt+PgDown)")
        self._folder.clicked.connect(self._ask_folder)
        self._layers.clicked.connect(self.layers_requested)
        self._clear.clicked.connect(self.clear_requested)
        self._previous.clicked.connect(self.previous_requested)
        self._next.clicked.connect(self.next_requested)
        self._done.clicked.connect(lambda: self.done_requested.emit(not self._is_done))
        self._build()
        self.show_items((), None, 0)

    def show_items(self, items: Sequence[ReviewItem], current: int | None, remaining: int) -> None:
        """Show all images, the current one, and how many are not done."""
        columns = _columns(items)
        names = [item.key for item in items]
        if names == self._names:
            self._table.update_columns(columns)
        else:
            self._names = names
            self._table.show_columns(columns)
            if items:
                header = self._table.horizontalHeader()
                header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        if current is not None:
            self._table.select_row(current)
        self._table.setVisible(bool(items))
        self._count.setText(_count_text(len(items), remaining))
        self._show_buttons(items, current)

    def _show_buttons(self, items: Sequence[ReviewItem], current: int | None) -> None:
        self._is_done = current is not None and items[current].done
        self._done.setText("Not done" if self._is_done else "Done, next")
        self._done.setToolTip(
            "Puts the image among those to do again (Alt+D)"
            if self._is_done
            else "Marks the image as done and opens the next one (Alt+D)"
        )
        self._done.setEnabled(current is not None)
        self._previous.setEnabled(bool(current))
        others = (item for n, item in enumerate(items) if n != current)
        self._next.setEnabled(any(not (item.done or item.failed) for item in others))
        self._clear.setEnabled(bool(items))

    def toggle_done(self) -> None:
        """Press the button Done, if it is enabled."""
        self._done.click()

    def _ask_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Images to review")
        if name:
            self.folder_requested.emit(Path(name))

    def _build(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(row(self._folder, self._layers, self._clear))
        column.addWidget(self._table)
        column.addWidget(self._count)
        column.addWidget(row(self._previous, self._next, self._done))


def _columns(items: Sequence[ReviewItem]) -> _Columns:
    dice = [np.nan if item.dice is None else item.dice for item in items]
    return _Columns(
        {
            "Image": np.array([item.name for item in items], object),
            "State": np.array([_state(item) for item in items], object),
            "Dice": np.array(dice, float),
        }
    )


def _state(item: ReviewItem) -> str:
    if item.failed:
        return "not opened"
    return "done" if item.done else "to do"


def _count_text(count: int, remaining: int) -> str:
    if not count:
        return "Images to look at one after another: choose a folder, or those that are open."
    done = f"{count - remaining} of {count} done"
    return f"{done}; {remaining} to do." if remaining else f"{done}."
