"""The fields of the Model tab: the open checkpoint and its details."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from napari_emcad.pipelines.model_presets import MODEL_PRESETS, fitting_presets
from napari_emcad.plugin.model.details_form import DetailsForm
from napari_emcad.plugin.model.shelf_box import ShelfBox
from napari_emcad.plugin.settings import recent_files
from napari_emcad.plugin.widgets.helpers import collapsible, combo, list_items, scrollable, text

if TYPE_CHECKING:
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint

_FILES = "Checkpoints (*.safetensors *.pth *.pt);;All files (*)"
BUNDLED = "Bundled: nuclei, B0"
_NO_PRESET = "Use the settings of a published model …"


class ModelPanel(QWidget):
    """Shows the open checkpoint and lets the user choose another one; it opens nothing itself.

    Signals
    -------
    bundled_requested
        The user chose the bundled model.
    file_requested
        The user chose the file of this path.
    save_requested
        The user wants to write the open checkpoint to this path.
    overridden
        The user changed details, given as arguments of `Checkpoint.override`.
    revert_requested
        The user wants the details of the file back.
    """

    bundled_requested = Signal()
    file_requested = Signal(object)
    save_requested = Signal(object)
    overridden = Signal(dict)
    revert_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._choice = combo()
        self._choice.setToolTip("The bundled model, or a recently opened file")
        self._choice.activated.connect(self._choose)
        self._open = QPushButton("Open …")
        self._open.setToolTip(
            "A published .pth or a .safetensors; you can also drop the file on napari"
        )
        self._open.clicked.connect(self._ask_file)
        self._save = QPushButton("Save a copy …")
        self._save.setToolTip(
            "With all details shown here, as .safetensors; or as .pth for other code"
        )
        self._save.clicked.connect(self._ask_save)
        self._description, self._notes = text(), text()
        self._card = QWidget()
        self._shown_card: tuple[Any, ...] = ()
        self._preset = combo()
        self._preset.setToolTip(
            "Class names, range and size of a published model, which its file does not contain"
        )
        self._preset.activated.connect(self._choose_preset)
        self.shelf = ShelfBox()
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
        self._description.setText(checkpoint.description)
        self._description.setVisible(bool(checkpoint.description))
        self._notes.setText(usage_notes(checkpoint))
        self._notes.setVisible(bool(self._notes.text()))
        self._list_presets(checkpoint)
        self._details.show_checkpoint(checkpoint)
        self._show_card(checkpoint)

    def _show_card(self, checkpoint: Checkpoint) -> None:
        rows = model_card(checkpoint)
        content = rows, checkpoint.classes, checkpoint.origin
        if content == self._shown_card:  # else selected texts would be lost
            return
        self._shown_card = content
        card = QWidget()
        grid = QGridLayout(card)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setColumnStretch(1, 1)
        for row, (caption, value) in enumerate(rows):
            html = _classes_html(checkpoint) if caption == "Classes" else escape(value)
            label = text(html.replace("\n", "<br>"), rich=True)
            grid.addWidget(text(caption), row, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(label, row, 1, Qt.AlignmentFlag.AlignTop)
        card.setToolTip(escape(f"sha256 {checkpoint.origin.sha256}\n{checkpoint.origin.path}"))
        self._body.layout().replaceWidget(self._card, card)
        self._card.deleteLater()
        self._card = card

    def _list_choices(self, checkpoint: Checkpoint | None) -> None:
        files = recent_files()
        is_file, path = False, None
        if checkpoint is not None and checkpoint.origin.format != "new":
            is_file = True
            path = None if is_bundled(checkpoint) else Path(checkpoint.origin.path)
        if path is not None and path not in files:
            files.append(path)
        list_items(
            self._choice, [(BUNDLED, None, ""), *((file.name, file, str(file)) for file in files)]
        )
        row = -1 if not is_file else 0 if path is None else 1 + files.index(path)
        if self._choice.currentIndex() != row:
            self._choice.setCurrentIndex(row)

    def show_running(self, running: bool) -> None:
        """Disable opening and saving while a job runs."""
        for widget in (self._choice, self._open, self._save):
            widget.setEnabled(not running)

    def _list_presets(self, checkpoint: Checkpoint) -> None:
        """List the published models that the checkpoint may be, if its file does not say it."""
        presets = fitting_presets(checkpoint) if checkpoint.origin.format == "published" else []
        list_items(self._preset, [(_NO_PRESET, None, ""), *((t, t, "") for t in presets)])
        self._preset.setCurrentIndex(0)
        self._preset.setVisible(bool(presets))

    def _choose_preset(self, index: int) -> None:
        title = self._preset.itemData(index)
        if title is not None:
            self.overridden.emit(dict(MODEL_PRESETS[title]))

    def _choose(self, index: int) -> None:
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
            path, suffix = Path(name), ".pth" if kind == published else ".safetensors"
            self.save_requested.emit(path if path.suffix else path.with_suffix(suffix))

    def _build(self) -> None:
        top = QHBoxLayout()
        top.setContentsMargins(8, 8, 8, 0)
        top.addWidget(self._choice, 1)
        top.addWidget(self._open)
        self._body = QWidget()
        body = QVBoxLayout(self._body)
        body.setContentsMargins(0, 0, 0, 0)
        details = collapsible("Preprocessing and details", self._details)
        notes = (self._description, self._card, self._notes)
        for widget in (*notes, self._preset, details, self._save):
            body.addWidget(widget)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(top)
        self._shelf_section = collapsible("Models on this computer", self.shelf)
        self._shelf_section.expand(animate=False)
        column.addWidget(self._shelf_section)
        column.addWidget(scrollable(self._body), 1)


def _classes_html(checkpoint: Checkpoint) -> str:
    """Return the classes as rich text: a square of the color, number and name."""
    return "\n".join(
        f'<span style="color:{escape(label.color)}">■</span> {k} {escape(label.name)}'
        for k, label in enumerate(checkpoint.classes, start=1)
    )
