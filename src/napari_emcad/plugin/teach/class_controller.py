"""Adds, renames and removes classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.teach.annotation_controller import AnnotationController


class ClassController(QObject):
    """Changes the classes of the project, or shows why they cannot be changed.

    Parameters
    ----------
    context
        Shared state of the panel.
    annotating
        Paints with the classes.

    Signals
    -------
    removed
        A class was removed.
    refused
        Number of a class, and the new name that it cannot have.
    changed
        The class table should be shown again: a change was made or refused.
    """

    removed = Signal()
    refused = Signal(int, str)
    changed = Signal()

    def __init__(self, context: Context, annotating: AnnotationController) -> None:
        super().__init__(annotating)
        self._context, self._annotating = context, annotating
        self._project = context.session.project
        self._refusal = ""

    def add(self) -> None:
        """Add a class and paint with it."""
        if self._change(self._project.add_class) and self._annotating.pair is not None:
            self._annotating.paint(len(self._project.classes))

    def rename(self, k: int, name: str) -> None:
        """Rename class `k`."""
        if not self._change(lambda: self._project.rename_class(k, name)):
            self.refused.emit(k, name)

    def recolor(self, k: int, color: str) -> None:
        """Set the color of class `k`, as ``#rrggbb``."""
        self._change(lambda: self._project.recolor_class(k, color))

    def remove(self, k: int) -> bool:
        """Remove class `k`; if it was being painted, the next one is painted instead.

        Returns
        -------
        bool
            Whether it was removed; the reason why not is shown.
        """
        painting = self._annotating.painted_class == k
        done = self._change(lambda: self._project.remove_class(k))
        self.removed.emit()
        if painting:
            self._annotating.paint(min(k, len(self._project.classes)))
        return done

    def _change(self, change: Callable[[], Any]) -> bool:
        """Make a change, or show why it is refused; return whether it was made."""
        refusal = ""
        try:
            change()
        except ValueError as error:
            refusal = str(error)
        if refusal or self._refusal:  # the message of an earlier refusal is removed
            self._context.show_message(refusal, error=bool(refusal))
        self._refusal = refusal
        self.changed.emit()
        return not refusal
