"""The buttons that search regions to annotate and step through them."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_emcad.interactive.suggest import MOST_SLICES
from napari_emcad.plugin.widgets.helpers import combo, row, text

_TIP = "Searches regions whose prediction is uncertain, and steps through them"
_RANGES = {"this slice": False, "whole stack": True}


class SuggestBox(QWidget):
    """Shows the number of the current region; it starts nothing itself.

    Signals
    -------
    requested
        Regions are wanted, of the whole stack (True) or the visible slice (False).
    step_requested
        The next region (1) or the previous one (-1) is wanted.
    """

    requested = Signal(bool)
    step_requested = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._has_stack = False
        self._suggest = QPushButton("Suggest")
        self._range = combo(dict(_RANGES))
        self._range.setToolTip(
            f"Of a long stack {MOST_SLICES} evenly spaced slices are searched; the most uncertain "
            f"slice comes first"
        )
        self._range.setVisible(False)
        self._previous, self._next = QPushButton("◀"), QPushButton("▶")
        self._previous.setToolTip("Previous region (Alt+Shift+N)")
        self._next.setToolTip("Next region that is not annotated yet (Alt+N)")
        for button, name in ((self._previous, "Previous region"), (self._next, "Next region")):
            button.setAccessibleName(name)
        self._position, self._reason = text(), text()
        self._position.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._steps = row(self._previous, self._position, self._next)
        self._suggest.clicked.connect(lambda: self.requested.emit(self._whole_stack))
        self._previous.clicked.connect(lambda: self.step_requested.emit(-1))
        self._next.clicked.connect(lambda: self.step_requested.emit(1))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(row(self._suggest, self._range))
        column.addWidget(self._steps)
        column.addWidget(self._reason)
        self.show_position(0, 0)

    @property
    def _whole_stack(self) -> bool:
        return bool(self._range.currentData()) and self._has_stack

    def show_position(self, number: int, count: int, reason: str = "") -> None:
        """Show the current region.

        Parameters
        ----------
        number, count
            Number of the region, from 1, and of all regions; 0 hides them.
        reason
            Why it is worth annotating.
        """
        self._position.setText(f"{number} of {count}" if count else "")
        self._steps.setVisible(bool(count))
        self._reason.setText(reason)
        self._reason.setVisible(bool(reason))

    def show_reason(self, reason: str) -> None:
        """Enable the button, or show why it is disabled."""
        self._suggest.setEnabled(not reason)
        self._suggest.setToolTip(reason or _TIP)
        self._range.setEnabled(not reason)

    def show_stack(self, has_stack: bool) -> None:
        """Show the choice between slice and stack if the image is a stack."""
        self._has_stack = has_stack
        self._range.setVisible(has_stack)
