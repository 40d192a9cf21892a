"""A strip that offers to restore the work of an earlier session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_emcad.plugin.widgets.helpers import row, text

if TYPE_CHECKING:
    from napari_emcad.io.autosave import Recovery


class RecoveryStrip(QWidget):
    """Offers recoveries one after another; hidden while there is none.

    Signals
    -------
    restore_requested, dismiss_requested
        A recovery to restore, or not to be offered again.
    """

    restore_requested = Signal(object)
    dismiss_requested = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._recoveries: list[Recovery] = []
        self._text = text()
        self._restore, self._dismiss = QPushButton("Restore"), QPushButton("Dismiss")
        self._restore.setToolTip("Brings back the layers and the model")
        self._dismiss.setToolTip("Does not offer it again; the files stay for two weeks")
        self._restore.clicked.connect(lambda: self._answer(self.restore_requested))
        self._dismiss.clicked.connect(lambda: self._answer(self.dismiss_requested))
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 0)
        column.addWidget(self._text)
        column.addWidget(row(self._restore, self._dismiss))
        self.setVisible(False)

    @property
    def recoveries(self) -> tuple[Recovery, ...]:
        """Recoveries that are still to be offered, the present one first."""
        return tuple(self._recoveries)

    def show_recoveries(self, recoveries: list[Recovery]) -> None:
        """Offer recoveries, one after another."""
        self._recoveries = list(recoveries)
        self.setVisible(bool(recoveries))
        if recoveries:
            first = recoveries[0]
            count = f"{first.annotations} annotation{'s' if first.annotations > 1 else ''}"
            parts = [count] * bool(first.annotations) + ["a model"] * first.model
            work, when = " and ".join(parts), f"{first.modified:%d %B at %H:%M}"
            self._text.setText(
                f"When napari was closed on {when}, {work} had not been saved to a file. Restore?"
                if first.ended
                else f"napari ended unexpectedly on {when}; {work} can be restored."
            )
            self._dismiss.setToolTip(
                f"Does not offer it again; the files stay for two weeks in {first.folder}"
            )

    def _answer(self, signal: object) -> None:
        first = self._recoveries[0]
        self.show_recoveries(self._recoveries[1:])
        signal.emit(first)  # type: ignore[attr-defined]
