"""The list of versions: to go back to, compare and save."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_emcad.plugin.widgets.helpers import text
from napari_emcad.plugin.widgets.table import RowTable

if TYPE_CHECKING:
    from napari_emcad.interactive.versions import Version, Versions

_HOW = {"opened": "opened", "trained": "trained", "live": "live update"}


class VersionList(QWidget):
    """Lists versions, the newest first.

    Signals
    -------
    use_requested
        A version to use.
    compare_requested
        A version whose prediction is to be shown in a new layer.
    save_requested
        A version, and the path to write it to.
    """

    use_requested = Signal(object)
    compare_requested = Signal(object)
    save_requested = Signal(object, object)

    def __init__(self) -> None:
        super().__init__()
        self._versions: list[Version] = []
        self._current: Version | None = None
        self._busy = False
        self._rows = RowTable(("", "Version", "Strokes", "Dice"), wide=(1,), most=5)
        self._rows.itemSelectionChanged.connect(self._enable)
        self._hint = text()
        self._hint.setVisible(False)
        self._use = QPushButton("Use")
        self._rows.setToolTip("Versions of the model since the window was opened")
        self._use.setToolTip(
            "Use this version for segmentation and training; the others stay in the list"
        )
        self._compare = QPushButton("Compare")
        self._compare.setToolTip("Shows its prediction of the visible part in a new layer")
        self._save = QPushButton("Save …")
        self._save.setToolTip("Writes a checkpoint with classes, preprocessing and history")
        self._use.clicked.connect(lambda: self.use_requested.emit(self._selected()))
        self._compare.clicked.connect(lambda: self.compare_requested.emit(self._selected()))
        self._save.clicked.connect(self._save_as)
        buttons = QHBoxLayout()
        for button in (self._use, self._compare, self._save):
            buttons.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._rows)
        column.addWidget(self._hint)
        column.addLayout(buttons)
        self._enable()

    def show_versions(self, versions: Versions) -> None:
        """Show versions; the one in use is marked."""
        chosen = self._selected()
        self._versions, self._current = list(versions)[::-1], versions.current
        with QSignalBlocker(self._rows):
            self._rows.set_count(len(self._versions))
            for row, version in enumerate(self._versions):
                self._show_row(row, version)
            rows = [row for row, version in enumerate(self._versions) if version is chosen]
            self._rows.select(rows[0] if rows else -1, 1)
        self._enable()

    def show_hint(self, hint: str) -> None:
        """Show whether further strokes still help."""
        self._hint.setText(hint)
        self._hint.setVisible(bool(hint))

    @property
    def hint(self) -> str:
        """The text on whether further strokes still help."""
        return str(self._hint.text())

    def show_running(self, running: bool) -> None:
        """Disable the buttons while a job runs."""
        self._busy = running
        self._enable()

    def _show_row(self, row: int, version: Version) -> None:
        title = f"{version.made:%H:%M:%S} {_HOW[version.how]}"
        score = "" if version.score is None else f"{version.score.dice:.3f}"
        details = "nothing was held out"
        if version.score is not None:
            details = f"IoU {version.score.iou:.3f}, on {version.held_out:,} held-out pixels"
        if version.uncertainty is not None:
            details += f"; mean uncertainty there {version.uncertainty:.2f}"
        self._rows.put(row, 0, "●" if version is self._current else "", "in use")
        self._rows.put(row, 1, title, f"{version.number}. {version.checkpoint.title}")
        self._rows.put(row, 2, f"{version.strokes:,}" if version.strokes else "", "strokes so far")
        self._rows.put(row, 3, score, details)

    def _selected(self) -> Version | None:
        row = self._rows.currentRow()
        return self._versions[row] if 0 <= row < len(self._versions) else None

    def _enable(self) -> None:
        chosen = self._selected()
        self._use.setEnabled(chosen is not None and chosen is not self._current and not self._busy)
        self._compare.setEnabled(chosen is not None and not self._busy)
        self._save.setEnabled(chosen is not None and not self._busy)

    def _save_as(self) -> None:
        """Ask for a path, and request that the selected version is saved there."""
        version = self._selected()
        if version is None:
            return
        proposed = f"{version.checkpoint.classes[0].name} v{version.number}.safetensors"
        path, _ = QFileDialog.getSaveFileName(
            self, "Save version", proposed, "Checkpoints (*.safetensors *.pth)"
        )
        if path:
            chosen = Path(path)
            suffixed = chosen if chosen.suffix else chosen.with_suffix(".safetensors")
            self.save_requested.emit(version, suffixed)
