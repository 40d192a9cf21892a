"""The choice between the open checkpoint and the instant model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QWidget

from napari_emcad.plugin.widgets.helpers import combo, list_items

if TYPE_CHECKING:
    from napari_emcad.io.checkpoints.instant_model import InstantModel

_CHECKPOINT, _INSTANT = "checkpoint", "instant"


class ModelChoice(QWidget):
    """Chooses what segments: the open checkpoint, or the instant model once there is one.

    Signals
    -------
    changed
        The other one was chosen.
    save_requested
        The path to write the instant model to.
    """

    changed = Signal()
    save_requested = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._box = combo()
        self._box.setToolTip("The open model, or the instant model of your strokes")
        self._box.currentIndexChanged.connect(self._choose)
        self._save = QPushButton("Save …")
        self._save.setToolTip(
            "Writes the instant model; open it here later, or use it with napari-emcad segment"
        )
        self._save.clicked.connect(self._save_as)
        self._model: InstantModel | None = None
        columns = QHBoxLayout(self)
        columns.setContentsMargins(0, 0, 0, 0)
        columns.addWidget(self._box, 1)
        columns.addWidget(self._save)

    @property
    def is_instant(self) -> bool:
        """Whether the instant model is chosen."""
        return bool(self._box.currentData() == _INSTANT)

    def choose_checkpoint(self) -> None:
        """Choose the open checkpoint."""
        self._box.setCurrentIndex(max(self._box.findData(_CHECKPOINT), 0))

    def show_instant(self, model: InstantModel) -> None:
        """Offer an instant model; one that was opened from a file is chosen."""
        self._model, chosen = model, max(self._box.currentIndex(), 0)
        count = f"{model.strokes} stroke{'s' if model.strokes != 1 else ''}"
        name = Path(model.origin.path).stem
        title = f"Instant: {name}" if name else f"Instant, {count}"
        with QSignalBlocker(self._box):
            tip = f"Fitted to {count}"
            list_items(self._box, [("Open model", _CHECKPOINT, ""), (title, _INSTANT, tip)])
            self._box.setCurrentIndex(1 if name else chosen)
        self._choose()

    def _choose(self, _: int = 0) -> None:
        self._save.setEnabled(self.is_instant)
        self.changed.emit()

    def _save_as(self) -> None:
        """Ask for a path, and request that the model is written there."""
        if self._model is None:
            return
        proposed = f"{self._model.classes[0].name} instant.safetensors"
        path, _ = QFileDialog.getSaveFileName(
            self, "Save instant model", proposed, "Instant models (*.safetensors)"
        )
        if path:
            chosen = Path(path)
            self.save_requested.emit(
                chosen if chosen.suffix else chosen.with_suffix(".safetensors")
            )
