"""The buttons of the Objects tab that correct single objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_emcad.plugin.widgets.helpers import row

if TYPE_CHECKING:
    from collections.abc import Collection


class CorrectBox(QWidget):
    """Shows which corrections are possible; it changes no object itself.

    Signals
    -------
    delete_requested, merge_requested, accept_requested
        The selected objects are to be removed, merged or accepted.
    split_toggled
        Whether clicks on the canvas split objects.
    teach_requested
        The accepted objects are to become annotation.
    """

    delete_requested = Signal()
    merge_requested = Signal()
    accept_requested = Signal()
    split_toggled = Signal(bool)
    teach_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._delete, self._merge = QPushButton("Delete"), QPushButton("Merge")
        self._split, self._accept = QPushButton("Split"), QPushButton("Accept")
        self._teach = QPushButton("Teach the accepted objects")
        self._split.setCheckable(True)
        self._delete.setToolTip("Removes the selected objects; Ctrl+Z undoes it")
        self._merge.setToolTip("Gives the selected objects one number; Ctrl+Z undoes it")
        self._split.setToolTip(
            "Then click two parts of one object, or drag a line across it; Ctrl+Z undoes it"
        )
        self._accept.setToolTip("Marks the selected objects as right, or takes the mark back")
        self._teach.setToolTip(
            "Copies the accepted objects, with a rim of background, into the annotation of the "
            "image, from which the model learns"
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(row(self._delete, self._merge, self._split, self._accept))
        column.addWidget(self._teach)
        self._delete.clicked.connect(self.delete_requested)
        self._merge.clicked.connect(self.merge_requested)
        self._accept.clicked.connect(self.accept_requested)
        self._split.toggled.connect(self.split_toggled)
        self._teach.clicked.connect(self.teach_requested)

    @property
    def splitting(self) -> bool:
        """Whether clicks on the canvas split objects."""
        return bool(self._split.isChecked())

    def show_state(self, selected: int, editable: bool, accepted: Collection[int]) -> None:
        """Enable the buttons that have something to do.

        Parameters
        ----------
        selected
            Number of selected objects.
        editable
            Whether the objects can be changed.
        accepted
            Labels of the accepted objects.
        """
        self._delete.setEnabled(editable and selected > 0)
        self._merge.setEnabled(editable and selected > 1)
        self._split.setEnabled(editable)
        self._accept.setEnabled(selected > 0)
        self._teach.setVisible(bool(accepted))
        count = len(accepted)
        self._teach.setText(f"Teach {count:,} accepted object{'s' if count != 1 else ''}")

    def show_splitting(self, on: bool) -> None:
        """Show whether clicks split objects, without reporting it."""
        with QSignalBlocker(self._split):
            self._split.setChecked(on)
