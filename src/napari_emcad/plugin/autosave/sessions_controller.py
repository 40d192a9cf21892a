"""Lists, restores and deletes the earlier sessions that the autosave keeps."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from napari_emcad.io.autosave import find_recoveries
from napari_emcad.io.earlier_sessions import delete, summarize
from napari_emcad.plugin.autosave.sessions_window import SessionsWindow
from napari_emcad.plugin.runner.thread import JobThread, job_of
from napari_emcad.plugin.widgets.question import ask

if TYPE_CHECKING:
    from pathlib import Path

    from qtpy.QtWidgets import QMessageBox, QWidget

    from napari_emcad.io.autosave import Recovery
    from napari_emcad.plugin.autosave.controller import AutosaveController
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.runner.thread import Outcome


class SessionsController(QObject):
    """Shows a `SessionsWindow` and runs what it asks for.

    Parameters
    ----------
    context
        Shared state of the panel.
    autosave
        Restores recoveries.
    owner
        Widget in whose window the list is shown.

    Attributes
    ----------
    window
        The window; None before it was shown.
    question
        The last question whether to delete a session.
    """

    def __init__(self, context: Context, autosave: AutosaveController, owner: QWidget) -> None:
        super().__init__(owner)
        self._context, self._autosave, self._owner = context, autosave, owner
        self.window: SessionsWindow | None = None
        self.question: QMessageBox | None = None
        autosave.restored.connect(self._refresh)

    def show(self) -> None:
        """Show the list, or bring it to the front."""
        if self.window is None:
            self.window = SessionsWindow(self._owner)
            self.window.restore_requested.connect(self._autosave.restore_requested)
            self.window.delete_requested.connect(self._ask)
        self._refresh()
        self.window.show()
        self.window.raise_()

    def _refresh(self) -> None:
        """Read the list again in a thread."""
        if self.window is None:
            return
        root = self._autosave.root
        thread = JobThread(lambda _: job_of(partial(_sessions, root)))
        thread.ended.connect(self._read)  # a bound method: disconnected with this object
        thread.start()

    def _read(self, outcome: Outcome) -> None:
        if self.window is not None:
            self.window.show_sessions(outcome.result or [], str(self._autosave.root))

    def _ask(self, recovery: Recovery) -> None:
        if self.window is None:
            return
        self.question = ask(
            self.window,
            f"Delete the session of {recovery.modified:%d %B at %H:%M}?",
            "Its annotations and its model cannot be brought back.",
            {"Delete": partial(self._delete, recovery), "Keep": lambda: None},
        )

    def _delete(self, recovery: Recovery) -> None:
        try:
            delete(recovery)
        except OSError as error:
            self._context.show_message(f"The session cannot be deleted: {error}", error=True)
        self._autosave.withdraw(recovery)
        self._refresh()

    def release(self) -> None:
        """Close the window; the controller is not used again."""
        if self.window is not None:
            self.window.close()
            self.window.deleteLater()
            self.window = None


def _sessions(root: Path) -> list[Any]:
    """Return all sessions that are kept, with what the list shows of them."""
    return [(one, *summarize(one)) for one in find_recoveries(root, dismissed=True)]
