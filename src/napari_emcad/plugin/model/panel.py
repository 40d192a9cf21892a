"""The Model panel: which checkpoint is open, what it is, and what its file does not say."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_emcad.io.checkpoints.card import model_card, usage_notes
from napari_emcad.io.checkpoints.files import is_bundled
from napari_emcad.plugin.model.details_form import DetailsForm
from napari_emcad.plugin.settings import recent_files
from napari_emcad.plugin.widgets.helpers import collapsible, combo, scrollable, text

if TYPE_CHECKING:
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint

_FILES = "Checkpoints (*.safetensors *.pth *.pt);;All files (*)"
BUNDLED = "Bundled: nuclei, B0"


class ModelPanel(QWidget):
    """Chooses a checkpoint and shows it; it opens nothing itself.

    Signals
    -------
    bundled_requested, file_requested
        The user chose the bundled model, or a file by its path.
    save_requested
        The user wants the open checkpoint written to a path.
    overridden
        The user filled in what the file does not say, as overrides.
    revert_requested
        The user wants all that taken back.
    """

    bundled_requested = Signal()
    file_requested = Signal(object)
    save_requested = Signal(object)
    overridden = Signal(dict)
    revert_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._choice = combo()
        self._choice.setToolTip("The bundled model, or a file opened lately")
        self._choice.activated.connect(self._chosen)
        self._open = QPushButton("Open …")
        self._open.setToolTip(
            "A published .pth or our .safetensors; dropping one on napari works too"
        )
        self._open.clicked.connect(self._ask_file)
        self._save = QPushButton("Save a copy …")
        self._save.setToolTip(
            "With all that is said here, as .safetensors; or as .pth for other code"
        )
        self._save.clicked.connect(self._ask_save)
        self._about, self._remarks = text(), text()
        self._card = QWidget()
        self._details = DetailsForm()
        self._details.changed.connect(self.overridden)
        self._details.revert_requested.connect(self.revert_requested)
        self._build()
        self.show_checkpoint(None)

    def show_checkpoint(self, checkpoint: Checkpoint | None) -> None:
        """Show the open checkpoint."""
        self._list_choices(checkpoint)
        self._body.setVisible(checkpoint is not None)
        self._save.setEnabled(checkpoint is not None)
        if checkpoint is None:
            return
        self._about.setText(checkpoint.description)
        self._about.setVisible(bool(checkpoint.description))
        self._remarks.setText(usage_notes(checkpoint))
        self._remarks.setVisible(bool(self._remarks.text()))
        self._details.show_checkpoint(checkpoint)
        self._show_card(checkpoint)

    def _show_card(self, checkpoint: Checkpoint) -> None:
        fresh = QWidget()
        grid = QGridLayout(fresh)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setColumnStretch(1, 1)
        for row, (caption, value) in enumerate(model_card(checkpoint)):
            shown = _colored(checkpoint) if caption == "Classes" else escape(value)
            grid.addWidget(text(caption), row, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(
                text(shown.replace("\n", "<br>"), rich=True), row, 1, Qt.AlignmentFlag.AlignTop
            )
        fresh.setToolTip(escape(f"sha256 {checkpoint.origin.sha256}\n{checkpoint.origin.path}"))
        self._body.layout().replaceWidget(self._card, fresh)
        self._card.deleteLater()
        self._card = fresh

    def _list_choices(self, checkpoint: Checkpoint | None) -> None:
        self._choice.clear()
        self._choice.addItem(BUNDLED, None)
        for path in recent_files():
            self._choice.addItem(path.name, path)
            self._choice.setItemData(
                self._choice.count() - 1, str(path), Qt.ItemDataRole.ToolTipRole
            )
        self._choice.setCurrentIndex(self._index_of(checkpoint))

    def _index_of(self, checkpoint: Checkpoint | None) -> int:
        """Return the entry of the open checkpoint; one that has none gets it."""
        if checkpoint is None or checkpoint.origin.format == "new":
            return -1
        if is_bundled(checkpoint):
            return 0
        here = Path(checkpoint.origin.path)
        paths = [self._choice.itemData(i) for i in range(self._choice.count())]
        if here not in paths:
            self._choice.addItem(here.name, here)
            paths.append(here)
        return paths.index(here)

    def show_running(self, running: bool) -> None:
        """Open and save nothing while a job runs."""
        for each in (self._choice, self._open, self._save):
            each.setEnabled(not running)

    def _chosen(self, index: int) -> None:
        path = self._choice.itemData(index)
        if path is None:
            self.bundled_requested.emit()
        else:
            self.file_requested.emit(path)

    def _ask_file(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Open a PVT-EMCAD checkpoint", "", _FILES)
        if name:
            self.file_requested.emit(Path(name))

    def _ask_save(self) -> None:
        native, published = "napari-emcad (*.safetensors)", "Published (*.pth)"
        name, kind = QFileDialog.getSaveFileName(
            self, "Save a copy of the model", "model.safetensors", f"{native};;{published}"
        )
        if name:
            path, usual = Path(name), ".pth" if kind == published else ".safetensors"
            self.save_requested.emit(path if path.suffix else path.with_suffix(usual))

    def _build(self) -> None:
        top = QHBoxLayout()
        top.setContentsMargins(8, 8, 8, 0)
        top.addWidget(self._choice, 1)
        top.addWidget(self._open)
        self._body = QWidget()
        body = QVBoxLayout(self._body)
        body.setContentsMargins(0, 0, 0, 0)
        details = collapsible("Preprocessing and details", self._details)
        for widget in (self._about, self._card, self._remarks, details, self._save):
            body.addWidget(widget)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(top)
        column.addWidget(scrollable(self._body), 1)


def _colored(checkpoint: Checkpoint) -> str:
    """Return the classes as rich text, each behind a square of its color."""
    return "\n".join(
        f'<span style="color:{escape(each.color)}">■</span> {k} {escape(each.name)}'
        for k, each in enumerate(checkpoint.classes, start=1)
    )
