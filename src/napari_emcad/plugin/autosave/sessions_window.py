"""A window with the earlier sessions that the autosave keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import QDialog, QListWidget, QListWidgetItem, QPushButton, QVBoxLayout

from napari_emcad.imaging.thumbnail import SIDE
from napari_emcad.io.autosave import DAYS_KEPT
from napari_emcad.plugin.widgets.helpers import row, shorten, text
from napari_emcad.plugin.widgets.pictures import picture_icon

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtGui import QIcon
    from qtpy.QtWidgets import QWidget

    from napari_emcad.io.annotation_file import AnnotationSummary
    from napari_emcad.io.autosave import Recovery

    Session = tuple[Recovery, tuple[AnnotationSummary, ...], str]
    """A recovery with its annotations, and the title of its model or ""."""

_SIZE = (520, 420)

_LETTERS = 50
"""Most letters of a path; the tool tip has all of it."""


class SessionsWindow(QDialog):
    """Lists earlier sessions with a picture; it restores and deletes nothing itself.

    Parameters
    ----------
    parent
        Widget in whose window it is shown.

    Signals
    -------
    restore_requested, delete_requested
        A `Recovery` to restore, or to delete for good.
    """

    restore_requested = Signal(object)
    delete_requested = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent.window())
        self.setWindowTitle("Earlier sessions")
        self.setModal(False)
        self._list = QListWidget()
        self._list.setIconSize(QSize(SIDE, SIDE))
        self._list.setSpacing(4)
        self._list.setWordWrap(True)
        self._list.setToolTip("Sessions that were saved automatically, the latest first")
        self._list.itemSelectionChanged.connect(self._enable)
        self._list.itemActivated.connect(lambda _: self._emit(self.restore_requested))
        self._note = text()
        self._restore, self._delete = QPushButton("Restore"), QPushButton("Delete …")
        self._close = QPushButton("Close")
        self._restore.setToolTip("Brings back the layers and the model, beside what is open")
        self._delete.setToolTip("Deletes what was saved of this session, after a question")
        self._restore.clicked.connect(lambda: self._emit(self.restore_requested))
        self._delete.clicked.connect(lambda: self._emit(self.delete_requested))
        self._close.clicked.connect(self.close)
        column = QVBoxLayout(self)
        column.addWidget(self._list, 1)
        column.addWidget(self._note)
        column.addWidget(row(self._restore, self._delete, self._close))
        self.resize(*_SIZE)
        self.show_sessions([], "")

    def show_sessions(self, sessions: Sequence[Session], folder: str) -> None:
        """List sessions that are kept in a folder."""
        self._list.clear()
        for session in sessions:
            item = QListWidgetItem(_icon(session), _description(session))
            item.setData(Qt.ItemDataRole.UserRole, session[0])
            item.setToolTip("\n".join([str(session[0].folder), *_paths(session[1])]))
            self._list.addItem(item)
        if sessions:
            self._list.setCurrentRow(0)
        kept = f"Restored and dismissed sessions are kept for {DAYS_KEPT} days in {folder}."
        self._note.setText(kept if sessions else "No earlier session is kept.")
        self._enable()

    @property
    def chosen(self) -> Recovery | None:
        """The selected session."""
        item = self._list.currentItem()
        recovery: Recovery | None = item and item.data(Qt.ItemDataRole.UserRole)
        return recovery

    def _enable(self) -> None:
        for button in (self._restore, self._delete):
            button.setEnabled(self.chosen is not None)

    def _emit(self, signal: Any) -> None:
        if self.chosen is not None:
            signal.emit(self.chosen)


def _icon(session: Session) -> QIcon:
    """Return the picture of the first annotation that has one."""
    picture = next((one.thumbnail for one in session[1] if one.thumbnail is not None), None)
    return picture_icon(picture, SIDE)


def _description(session: Session) -> str:
    recovery, annotations, title = session
    lines = [f"{recovery.modified:%A, %d %B %Y, %H:%M}"]
    for one in annotations:
        lines.append(f"{one.image}: {_amount(one)}")
        lines += [shorten(one.path, _LETTERS)] * bool(one.path)
    lines += [f"model “{title}”"] * bool(title)
    if recovery.dismissed:
        lines.append("restored or dismissed before")
    elif not recovery.ended:
        lines.append("napari ended unexpectedly")
    return "\n".join(lines)


def _amount(annotation: AnnotationSummary) -> str:
    pixels = f"{annotation.pixels:,} pixels"
    if not annotation.strokes:
        return pixels
    return f"{annotation.strokes} stroke{'s' if annotation.strokes > 1 else ''}, {pixels}"


def _paths(annotations: Sequence[AnnotationSummary]) -> list[str]:
    return [one.path or f"“{one.image}” is in no file" for one in annotations]
