"""The strip that offers what a crash left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_emcad.plugin.widgets.helpers import row, text

if TYPE_CHECKING:
    from napari_emcad.io.autosave import Recovery


class RecoveryStrip(QWidget):
    """Offers the latest of what was left behind; hidden while there is nothing.

    Signals
    -------
    restore_wanted, leave_wanted
        The user wants it back, or no more to be asked.
    """

    restore_wanted = Signal(object)
    leave_wanted = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._lost: list[Recovery] = []
        self._said = text()
        self._restore, self._leave = QPushButton("Restore"), QPushButton("Leave")
        self._restore.setToolTip("Brings back the layers and the model")
        self._leave.setToolTip("Asks no more; the files stay for two weeks")
        self._restore.clicked.connect(lambda: self._answer(self.restore_wanted))
        self._leave.clicked.connect(lambda: self._answer(self.leave_wanted))
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 0)
        column.addWidget(self._said)
        column.addWidget(row(self._restore, self._leave))
        self.setVisible(False)

    @property
    def lost(self) -> tuple[Recovery, ...]:
        """What is still to be offered, the one on offer first."""
        return tuple(self._lost)

    def show_lost(self, lost: list[Recovery]) -> None:
        """Offer these, one after another."""
        self._lost = list(lost)
        self.setVisible(bool(lost))
        if lost:
            first = lost[0]
            count = f"{first.annotations} annotation{'s' if first.annotations > 1 else ''}"
            parts = [count] * bool(first.annotations) + ["a model"] * first.model
            self._said.setText(
                f"napari ended unexpectedly on {first.modified:%d %B at %H:%M}; "
                f"{' and '.join(parts)} can be restored."
            )
            self._leave.setToolTip(f"Asks no more; the files stay for two weeks in {first.folder}")

    def _answer(self, signal: object) -> None:
        first = self._lost[0]
        self.show_lost(self._lost[1:])
        signal.emit(first)  # type: ignore[attr-defined]
