"""Removes a class: asks what becomes of its strokes, and can undo it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_emcad.plugin.widgets.question import ask

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QMessageBox

    from napari_emcad.interactive.annotation_entry import ClassState
    from napari_emcad.plugin.annotations.pair import AnnotationPair
    from napari_emcad.plugin.annotations.pairs import AnnotationLayers
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.teach.annotation_controller import AnnotationController
    from napari_emcad.plugin.teach.class_controller import ClassController
    from napari_emcad.plugin.teach.class_table import ClassTable

_MOST_TARGETS = 3
"""Most classes that are offered to move strokes to."""


@dataclass(frozen=True, slots=True, eq=False)
class _Removed:
    """A class that was removed, with the pixels that were changed for it."""

    name: str
    state: ClassState
    changes: list[tuple[AnnotationPair, tuple[Any, ...], Any]]


class ClassRemoval(QObject):
    """Removes classes of the project.

    Parameters
    ----------
    context
        Shared state of the panel.
    annotations
        Annotation layers.
    annotating
        Paints with the classes.
    classes
        Changes the classes.
    table
        Shows the classes.

    Signals
    -------
    undone
        A removal was undone; the annotations are to be scanned again.
    """

    undone = Signal()

    def __init__(
        self,
        context: Context,
        annotations: AnnotationLayers,
        annotating: AnnotationController,
        classes: ClassController,
        table: ClassTable,
    ) -> None:
        super().__init__(table)
        self._context, self._annotations, self._annotating = context, annotations, annotating
        self._classes, self._table = classes, table
        self._project = context.session.project
        self._removed: _Removed | None = None
        self.question: QMessageBox | None = None
        table.remove_requested.connect(self.request)
        table.undo_requested.connect(self.undo)

    def request(self, k: int) -> None:
        """Remove a class; if it was painted, ask what becomes of its strokes."""
        record, names = self._project.record, [label.name for label in self._project.classes]
        pixels, strokes = record.pixel_counts.get(k, 0), record.stroke_counts.get(k, 0)
        if not pixels or not 1 <= k <= len(names):
            self._remove(k)
            return
        if self.question is not None:
            self.question.close()
        removed, others = names[k - 1], [name for name in names if name != names[k - 1]]
        answers: dict[str, Callable[[], object]] = {
            f"Move to “{name}”": partial(self._answer, removed, name)
            for name in others[:_MOST_TARGETS]
        }
        answers |= {
            "Erase": partial(self._answer, removed, erase=True),
            "Keep hidden": partial(self._answer, removed),
            "Cancel": lambda: None,
        }
        count = f"{strokes:,} stroke{'s' if strokes != 1 else ''}, {pixels:,} pixels"
        self.question = ask(
            self._table,
            f"Remove “{removed}”?",
            f"It is annotated: {count}. Hidden strokes stay on the layer and are not learned.",
            answers,
        )
        self.question.destroyed.connect(self._question_closed)

    def _question_closed(self, _: object = None) -> None:
        self.question = None

    def _answer(self, name: str, target: str | None = None, erase: bool = False) -> None:
        """Remove a class by its name: classes may have changed while the question was open."""
        names = [label.name for label in self._project.classes]
        if name in names and (target is None or target in names):
            k = None if target is None else names.index(target) + 1
            self._remove(names.index(name) + 1, k, erase)

    def _remove(self, k: int, target: int | None = None, erase: bool = False) -> None:
        """Remove a class, after its strokes have moved to another one or were erased."""
        state = self._project.class_state()
        name = state.classes[k - 1].name if 1 <= k <= len(state.classes) else ""
        changes = self._repaint(k, target) if erase or target is not None else []
        if self._classes.remove(k):
            self._removed = _Removed(name, state, changes)
            self._table.show_undo(name)
        else:
            self._take_back(changes)
        self.undone.emit()

    def _repaint(self, k: int, target: int | None) -> list[tuple[AnnotationPair, Any, Any]]:
        """Give the pixels of a class the value of another one, or none; return what they were."""
        changes = []
        for pair in self._annotations.pairs:
            entry = self._project.entries.get(pair.key)
            if entry is None or pair.why_not_paintable():
                continue
            values = [
                v for v in np.unique(pair.labels.data).tolist() if entry.rule.class_of(v) == k
            ]
            where = np.nonzero(np.isin(pair.labels.data, values))
            if where[0].size:
                changes.append((pair, where, pair.labels.data[where].copy()))
                new = 0 if target is None else entry.rule.value_of(target)
                pair.labels.data_setitem(where, new)
                pair.labels.refresh()
        return changes

    def undo(self) -> None:
        """Bring the class back that was removed last, with its strokes."""
        removed, self._removed = self._removed, None
        self._table.show_undo("")
        if removed is None:
            return
        self._project.restore_classes(removed.state)
        self._take_back(removed.changes)
        self._context.show_message(f"“{removed.name}” is back.")
        self.undone.emit()

    @staticmethod
    def _take_back(changes: list[tuple[AnnotationPair, Any, Any]]) -> None:
        for pair, where, values in changes:
            pair.labels.data_setitem(where, values)
            pair.labels.refresh()
