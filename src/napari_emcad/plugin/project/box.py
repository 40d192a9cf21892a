"""The buttons that save and open a project, and list earlier sessions."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QPushButton, QVBoxLayout, QWidget

from napari_emcad.io.project_folder import SUFFIX
from napari_emcad.plugin.widgets.helpers import row


class ProjectBox(QWidget):
    """Asks for the folder of a project.

    Signals
    -------
    save_requested, open_requested
        Path of the folder.
    sessions_requested
        The user wants to see what was saved automatically.
    """

    save_requested = Signal(object)
    open_requested = Signal(object)
    sessions_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._last: Path | None = None
        self._open, self._save = QPushButton("Open project …"), QPushButton("Save project …")
        self._open.setToolTip(f"A folder {SUFFIX}: opens its images, annotations and models")
        self._save.setToolTip(
            "Annotations, versions of the model, classes and settings in one folder; images stay "
            "where they are"
        )
        self._open.clicked.connect(self._ask_open)
        self._save.clicked.connect(self._ask_save)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        self._sessions = QPushButton("Earlier sessions …")
        self._sessions.setToolTip("What was saved automatically, with pictures: restore or delete")
        self._sessions.clicked.connect(self.sessions_requested)
        column.addWidget(row(self._open, self._save))
        column.addWidget(self._sessions)

    def show_project(self, folder: Path) -> None:
        """Propose a folder for the next saving."""
        self._last = folder

    def ask_folder(self) -> Path | None:
        """Ask in which folder to save; return None if the user gives none."""
        proposal = str(self._last or f"project{SUFFIX}")
        name, _ = QFileDialog.getSaveFileName(
            self, "Save project", proposal, f"Projects (*{SUFFIX})"
        )
        if not name:
            return None
        path = Path(name)
        return path if path.suffix == SUFFIX else path.with_name(path.name + SUFFIX)

    def _ask_save(self) -> None:
        if (folder := self.ask_folder()) is not None:
            self.save_requested.emit(folder)

    def _ask_open(self) -> None:
        start = "" if self._last is None else str(self._last)
        name = QFileDialog.getExistingDirectory(self, f"Open a project (folder {SUFFIX})", start)
        if name:
            self.open_requested.emit(Path(name))
