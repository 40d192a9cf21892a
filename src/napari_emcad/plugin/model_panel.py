"""The Model panel: which checkpoint is open, what it is, and what its file does not say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from napari_emcad.plugin.card import card, remarks
from napari_emcad.plugin.details_form import DetailsForm
from napari_emcad.plugin.preferences import recent_files

if TYPE_CHECKING:
    from napari_emcad.io.checkpoint import Checkpoint

_FILES = "Checkpoints (*.safetensors *.pth *.pt);;All files (*)"
BUNDLED = "Bundled: nuclei, B0"


class ModelPanel(QWidget):
    """Chooses a checkpoint and shows it; it opens nothing itself.

    Signals
    -------
    bundled_wanted, file_wanted
        The user chose the bundled model, or a file by its path.
    save_wanted
        The user wants the open checkpoint written to a path.
    overridden
        The user filled in what the file does not say, as overrides.
    """

    bundled_wanted = Signal()
    file_wanted = Signal(object)
    save_wanted = Signal(object)
    overridden = Signal(dict)

    def __init__(self) -> None:
        super().__init__()
        self._choice = QComboBox()
        self._choice.setToolTip("The bundled model, or a file opened lately")
        self._choice.activated.connect(self._chosen)
        self._open = QPushButton("Open …")
        self._open.setToolTip("A published .pth or this plugin's .safetensors; or drop one on napari")
        self._open.clicked.connect(self._ask_file)
        self._save = QPushButton("Save a copy …")
        self._save.setToolTip("With everything below, as .safetensors; or .pth for the authors' code")
        self._save.clicked.connect(self._ask_save)
        self._title, self._about, self._remarks = _text(bold=True), _text(), _text()
        self._rows = QFormLayout()
        self._details = DetailsForm()
        self._details.changed.connect(self.overridden)
        self._build()
        self.show_checkpoint(None)

    def show_checkpoint(self, checkpoint: Checkpoint | None) -> None:
        """Show the open checkpoint."""
        self._list_choices(checkpoint)
        self._body.setVisible(checkpoint is not None)
        self._save.setEnabled(checkpoint is not None)
        if checkpoint is None:
            return
        self._title.setText(checkpoint.title)
        self._about.setText(checkpoint.description)
        self._about.setVisible(bool(checkpoint.description))
        self._remarks.setText(remarks(checkpoint))
        self._remarks.setVisible(bool(self._remarks.text()))
        self._details.show_checkpoint(checkpoint)
        while self._rows.rowCount():
            self._rows.removeRow(0)
        for caption, value in card(checkpoint):
            label = _text()
            label.setText(value)
            self._rows.addRow(caption, label)
        self._rows.itemAt(self._rows.count() - 1).widget().setToolTip(checkpoint.origin.sha256)

    def _list_choices(self, checkpoint: Checkpoint | None) -> None:
        self._choice.clear()
        self._choice.addItem(BUNDLED, None)
        for path in recent_files():
            self._choice.addItem(path.name, path)
            self._choice.setItemData(self._choice.count() - 1, str(path), Qt.ItemDataRole.ToolTipRole)
        paths = [self._choice.itemData(i) for i in range(self._choice.count())]
        here = Path(checkpoint.origin.path) if checkpoint else None
        self._choice.setCurrentIndex(paths.index(here) if here in paths else 0)
        if checkpoint is not None and checkpoint.origin.format == "new":
            self._choice.setCurrentIndex(-1)

    def _chosen(self, index: int) -> None:
        path = self._choice.itemData(index)
        if path is None:
            self.bundled_wanted.emit()
        else:
            self.file_wanted.emit(path)

    def _ask_file(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Open a PVT-EMCAD checkpoint", "", _FILES)
        if name:
            self.file_wanted.emit(Path(name))

    def _ask_save(self) -> None:
        name, _ = QFileDialog.getSaveFileName(
            self,
            "Save a copy of the model",
            "model.safetensors",
            "napari-emcad (*.safetensors);;Published (*.pth)",
        )
        if name:
            self.save_wanted.emit(Path(name))

    def _build(self) -> None:
        top = QHBoxLayout()
        top.addWidget(self._choice, 1)
        top.addWidget(self._open)
        self._rows.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self._rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        self._rows.setHorizontalSpacing(12)
        folded = QCollapsible("What the file does not say")
        folded.addWidget(self._details)
        self._body = QWidget()
        body = QVBoxLayout(self._body)
        body.setContentsMargins(0, 6, 0, 0)
        for widget in (self._title, self._about):
            body.addWidget(widget)
        body.addLayout(self._rows)
        for widget in (self._remarks, folded, self._save):
            body.addWidget(widget)
        column = QVBoxLayout(self)
        column.addLayout(top)
        column.addWidget(self._body)
        column.addStretch()


def _text(bold: bool = False) -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    if bold:
        label.setStyleSheet("font-weight: bold;")
    return label
