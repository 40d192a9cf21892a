"""The shelf of models: what can be opened, with pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_emcad.plugin.widgets.helpers import row
from napari_emcad.plugin.widgets.pictures import color_stripes, picture_icon

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from qtpy.QtGui import QKeyEvent

    from napari_emcad.io.model_shelf import ModelSummary

BUNDLED = "bundled"
"""Key of the bundled model, which has no path that stays."""

ICON = 56
"""Side of a picture in pixels."""

_ROWS = 3
"""Rows that are shown without scrolling."""

_FILES = "Checkpoints (*.pth *.pt *.safetensors);;All files (*)"


@dataclass(frozen=True, slots=True, eq=False)
class ShelfRow:
    """A model on the shelf.

    Attributes
    ----------
    key
        Key on the shelf: the path as text, `BUNDLED`, or "" for published models.
    path
        Path of its file; None for the bundled model and for published ones.
    preset
        Title of the settings of a published model, whose file the user has; "" for others.
    summary
        What is known of it; None if it was never opened on this computer.
    picture
        Picture of what it segments, if there is one.
    missing
        Whether its file is missing.
    """

    key: str
    path: Path | None = None
    preset: str = ""
    summary: ModelSummary | None = None
    picture: NDArray[np.uint8] | None = None
    missing: bool = False

    @property
    def name(self) -> str:
        """Title of the row."""
        if self.preset:
            return f"Published {self.preset}"
        return "Bundled model" if self.path is None else self.path.name


class _List(QListWidget):
    """A list whose rows are opened with Enter or a click."""

    chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setIconSize(QSize(ICON, ICON))
        self.setWordWrap(True)
        self.setSpacing(2)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFixedHeight(_ROWS * (ICON + 12) + 4)
        self.itemClicked.connect(lambda item: self.chosen.emit(item))  # signals of two types

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Open the row with Enter."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentItem():
            self.chosen.emit(self.currentItem())
        else:
            super().keyPressEvent(event)


class ShelfBox(QWidget):
    """Lists the bundled model, recent files and published models; it opens nothing itself.

    Signals
    -------
    bundled_requested
        The bundled model.
    file_requested
        Path of a file, and the title of the settings of a published model or "".
    remove_requested
        Path of a file that is to leave the list.
    """

    bundled_requested = Signal()
    file_requested = Signal(object, str)
    remove_requested = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._list = _List()
        self._list.setToolTip("A click or Enter opens a model; the arrow keys only choose it")
        self._list.chosen.connect(self._open)
        self._list.itemSelectionChanged.connect(self._enable)
        self._remove = QPushButton("Remove from the list")
        self._remove.setToolTip("Takes the chosen file off this list; the file itself stays")
        self._remove.clicked.connect(self._ask_remove)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._list)
        column.addWidget(row(self._remove))
        self._enable()

    def show_rows(self, rows: Sequence[ShelfRow], current: str) -> None:
        """List models; that of the key is marked, none for ""."""
        self._list.clear()
        for shown in rows:
            item = QListWidgetItem(_icon(shown), _text(shown))
            item.setData(Qt.ItemDataRole.UserRole, shown)
            item.setToolTip(_tip(shown))
            if shown.missing:
                item.setForeground(self._list.palette().placeholderText())
            self._list.addItem(item)
            if shown.key and shown.key == current:
                self._list.setCurrentItem(item)
        self._enable()

    def show_running(self, running: bool) -> None:
        """Disable the list while a job runs."""
        self.setEnabled(not running)

    def _chosen(self) -> ShelfRow | None:
        item = self._list.currentItem()
        chosen: ShelfRow | None = item and item.data(Qt.ItemDataRole.UserRole)
        return chosen

    def _enable(self) -> None:
        chosen = self._chosen()
        self._remove.setEnabled(chosen is not None and chosen.path is not None)

    def _open(self, item: QListWidgetItem) -> None:
        chosen: ShelfRow = item.data(Qt.ItemDataRole.UserRole)
        if chosen.preset:
            self._ask_file(chosen.preset)
        elif chosen.path is None:
            self.bundled_requested.emit()
        elif not chosen.missing:
            self.file_requested.emit(chosen.path, "")

    def _ask_file(self, preset: str) -> None:
        title = f"Open the checkpoint of “{preset}”"
        name, _ = QFileDialog.getOpenFileName(self, title, "", _FILES)
        if name:
            self.file_requested.emit(Path(name), preset)

    def _ask_remove(self) -> None:
        chosen = self._chosen()
        if chosen is not None and chosen.path is not None:
            self.remove_requested.emit(chosen.path)


def _icon(shown: ShelfRow) -> object:
    colors = shown.summary.colors if shown.summary else ()
    picture = color_stripes(colors, ICON) if shown.picture is None else shown.picture
    return picture_icon(picture, ICON)


def _text(shown: ShelfRow) -> str:
    lines = [shown.name + ": the file is missing" * shown.missing]
    if shown.summary is not None:
        dice = "" if shown.summary.dice is None else f" · Dice {shown.summary.dice:.2f}"
        lines += [shown.summary.purpose, shown.summary.expects + dice]
    return "\n".join(lines)


def _tip(shown: ShelfRow) -> str:
    if shown.preset:
        return "Asks for the file that its authors publish, and sets names, range and size"
    place = "comes with this package" if shown.path is None else str(shown.path)
    if shown.summary is None:
        return place
    dice = "\nDice on the pixels that its training has held out" * (shown.summary.dice is not None)
    return f"{shown.summary.title}\n{place}{dice}"
