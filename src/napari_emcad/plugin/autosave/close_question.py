"""Asks what becomes of unsaved work when the user closes the window."""

from __future__ import annotations

import weakref
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_emcad.plugin.widgets.question import ask

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QMessageBox, QWidget

    from napari_emcad.plugin.autosave.saver import AutosaveSaver

SAVE, DISCARD, KEEP, CANCEL = "Save …", "Discard", "Keep for later", "Do not close"


class CloseQuestion(QObject):
    """Asks what becomes of unsaved work when the user closes the window; it blocks nothing.

    Only a click on the window's own button is asked about, see `AutosaveSaver.close_requested`.

    Parameters
    ----------
    saver
        Saves the work of the viewer.
    save
        Asks for the folder of a project, saves the work there, and then calls its argument.

    Attributes
    ----------
    question
        The open question, or the last one.
    """

    def __init__(self, saver: AutosaveSaver, save: Callable[[Callable[[], None]], object]) -> None:
        super().__init__(saver)
        self._saver, self._save = saver, save
        self.question: QMessageBox | None = None
        saver.close_requested.connect(self._ask)

    def _ask(self, window: QWidget) -> None:
        if self.question is not None:  # the user has clicked again
            self.question.raise_()
            self.question.activateWindow()
            return
        close = partial(_close, weakref.ref(window))  # the window holds the viewer
        answers: dict[str, Callable[[], object]] = {
            SAVE: partial(self._save, close),
            DISCARD: partial(self._discard, close),
        }
        if not self._saver.problem:
            answers[KEEP] = close
        answers[CANCEL] = lambda: None
        work = self._saver.unsaved_work()
        self.question = ask(
            window,
            f"Save {work} before closing?",
            self._details(work.versions),
            answers,
            default="" if self._saver.problem else KEEP,
        )
        self.question.finished.connect(self._answered)

    def _details(self, versions: int) -> str:
        if self._saver.problem:
            return f"{self._saver.problem} Unless you save it, it is lost."
        kept = "Work that is kept is offered when the panel is opened next."
        lost = " Earlier versions of the model are only in a project: save one to keep them."
        return kept + lost * bool(versions)

    def _answered(self) -> None:
        self.question = None

    def _discard(self, close: Callable[[], None]) -> None:
        self._saver.discard()
        close()


def _close(window: weakref.ref[QWidget]) -> None:
    """Close a window without asking again: only a click of the user is asked about."""
    if (alive := window()) is not None:
        alive.close()
