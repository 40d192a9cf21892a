"""The models of this sitting: to go back to, compare and save."""

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
    wanted
        A version to use.
    compare_wanted
        A version whose prediction is to be shown in a layer of its own.
    save_wanted
        A version and the path that it is to be written to.
    """

    wanted = Signal(object)
    compare_wanted = Signal(object)
    save_wanted = Signal(object, object)

    def __init__(self) -> None:
        super().__init__()
        self._versions: list[Version] = []
        self._current: Version | None = None
        self._busy = False
        self._rows = RowTable(("", "Version", "Strokes", "Dice"), wide=(1,), most=5)
        self._rows.itemSelectionChanged.connect(self._enable)
        self._hint = text()
        self._hint.setVisible(False)
        self._back = QPushButton("Use")
        self._back.setToolTip("Segment and train on from this version; none is lost by it")
        self._compare = QPushButton("Compare")
        self._compare.setToolTip("Shows what it says of the image on screen, in a layer of its own")
        self._save = QPushButton("Save …")
        self._save.setToolTip("Writes it with classes, preprocessing and history")
        self._back.clicked.connect(lambda: self.wanted.emit(self._chosen()))
        self._compare.clicked.connect(lambda: self.compare_wanted.emit(self._chosen()))
        self._save.clicked.connect(self._ask_path)
        buttons = QHBoxLayout()
        for each in (self._back, self._compare, self._save):
            buttons.addWidget(each)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._rows)
        column.addWidget(self._hint)
        column.addLayout(buttons)
        self._enable()

    def show_versions(self, versions: Versions) -> None:
        """Show them; the one in use is marked."""
        chosen = self._chosen()
        self._versions, self._current = list(versions)[::-1], versions.current
        with QSignalBlocker(self._rows):
            self._rows.set_count(len(self._versions))
            for row, each in enumerate(self._versions):
                self._show_row(row, each)
            rows = [i for i, each in enumerate(self._versions) if each is chosen]
            self._rows.setCurrentCell(rows[0] if rows else -1, 1 if rows else -1)
        self._enable()

    def show_hint(self, hint: str) -> None:
        """Say what the scores say of further strokes."""
        self._hint.setText(hint)
        self._hint.setVisible(bool(hint))

    @property
    def hint(self) -> str:
        """What is said of further strokes."""
        return str(self._hint.text())

    def show_running(self, running: bool) -> None:
        """Let versions alone while a job runs."""
        self._busy = running
        self._enable()

    def _show_row(self, row: int, version: Version) -> None:
        said = f"{version.made:%H:%M:%S} {_HOW[version.how]}"
        score = "" if version.score is None else f"{version.score.dice:.3f}"
        behind = "nothing was held out"
        if version.score is not None:
            behind = f"IoU {version.score.iou:.3f}, on {version.held_out:,} held-out pixels"
        if version.doubt is not None:
            behind += f"; mean doubt there {version.doubt:.2f}"
        self._rows.put(row, 0, "●" if version is self._current else "", "in use")
        self._rows.put(row, 1, said, f"{version.number}. {version.checkpoint.title}")
        self._rows.put(row, 2, f"{version.strokes:,}" if version.strokes else "", "strokes so far")
        self._rows.put(row, 3, score, behind)

    def _chosen(self) -> Version | None:
        row = self._rows.currentRow()
        return self._versions[row] if 0 <= row < len(self._versions) else None

    def _enable(self) -> None:
        chosen = self._chosen()
        self._back.setEnabled(chosen is not None and chosen is not self._current and not self._busy)
        self._compare.setEnabled(chosen is not None and not self._busy)
        self._save.setEnabled(chosen is not None and not self._busy)

    def _ask_path(self) -> None:
        version = self._chosen()
        if version is None:
            return
        proposed = f"{version.checkpoint.classes[0].name} v{version.number}.safetensors"
        path, _ = QFileDialog.getSaveFileName(
            self, "Save version", proposed, "Checkpoints (*.safetensors *.pth)"
        )
        if path:
            chosen = Path(path)
            suffixed = chosen if chosen.suffix else chosen.with_suffix(".safetensors")
            self.save_wanted.emit(version, suffixed)
