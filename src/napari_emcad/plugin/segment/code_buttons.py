"""Buttons that take a segmentation out of the window: as code, and as a file of settings."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QPushButton, QVBoxLayout, QWidget

from napari_emcad.plugin.widgets.helpers import row

_FILES = "Settings (*.toml)"


class CodeButtons(QWidget):
    """Four buttons.

    Signals
    -------
    copy_requested
        ``"command"`` or ``"python"``: the segmentation is to be copied as code.
    save_requested, open_requested
        Path of a file of settings.
    """

    copy_requested = Signal(str)
    save_requested = Signal(object)
    open_requested = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(
            row(
                _button("Copy command", "The same for a terminal, on the clipboard"),
                _button("Copy Python", "The same as a script, on the clipboard"),
            )
        )
        column.addWidget(
            row(
                _button(
                    "Save settings …",
                    "Model and settings as a file, for other images or napari-emcad --settings",
                ),
                _button("Open settings …", "Shows the model and the settings of such a file"),
            )
        )
        command, python, save, open_ = self.findChildren(QPushButton)
        command.clicked.connect(lambda: self.copy_requested.emit("command"))
        python.clicked.connect(lambda: self.copy_requested.emit("python"))
        save.clicked.connect(self._ask_save)
        open_.clicked.connect(self._ask_open)

    def _ask_save(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Save settings", "settings.toml", _FILES)
        if name:
            self.save_requested.emit(Path(name))

    def _ask_open(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Open settings", "", _FILES)
        if name:
            self.open_requested.emit(Path(name))


def _button(title: str, tip: str) -> QPushButton:
    button = QPushButton(title)
    button.setToolTip(tip)
    return button
