"""Autosave of one viewer: saves annotations and models every few seconds, and at the end."""

from __future__ import annotations

import logging
import weakref
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject, QTimer, Signal
from qtpy.QtWidgets import QApplication, QMainWindow

from napari_emcad.imaging.fingerprint import image_fingerprint
from napari_emcad.inference.jobs import run_job
from napari_emcad.interactive.annotated_patches import stroke_count
from napari_emcad.io.autosave import AutosaveFolder
from napari_emcad.plugin.annotations.copies import COPIED_PIXELS
from napari_emcad.plugin.annotations.saved import thumbnail_of
from napari_emcad.plugin.autosave.written import UnsavedWork, WrittenWork, annotation_state
from napari_emcad.plugin.layers.geometry import levels
from napari_emcad.plugin.runner.thread import JobThread

if TYPE_CHECKING:
    from collections.abc import Generator, Hashable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from qtpy.QtWidgets import QWidget

    from napari_emcad.imaging.slices import Index
    from napari_emcad.interactive.session import Session
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.plugin.annotations.pair import AnnotationPair
    from napari_emcad.plugin.autosave.kept import KeptAnnotations
    from napari_emcad.plugin.runner.thread import Outcome

    _Saved = tuple[int, Any, dict[str, Any], Any, Mapping[Index, NDArray[Any]]]
    """Number, values and metadata of an annotation, array of its image, and copied values."""

_LOG = logging.getLogger(__name__)

INTERVAL_MS = 8_000
"""Interval between savings: the work that a crash can lose, besides the duration of a saving."""


class AutosaveSaver(QObject):
    """Saves annotations and models of one viewer, whether its panel is open or not.

    What the user has not written to a file when the window closes is left in the folder, and
    offered by the next panel.

    Parameters
    ----------
    session
        Session of the viewer.
    annotations
        Annotations of the viewer.
    root
        Folder of all autosaved sessions.

    Attributes
    ----------
    annotations
        Annotations of the viewer.
    written
        What of the work is in files that the user has written.

    Signals
    -------
    failed
        Something could not be saved; the message is for the user. Emitted once until something is
        saved again.
    ending
        The window closes; the final saving follows.
    close_requested
        The user wants to close this window although there is unsaved work; it stays open.
    """

    failed = Signal(str)
    ending = Signal()
    close_requested = Signal(object)

    def __init__(self, session: Session, annotations: KeptAnnotations, root: Path) -> None:
        super().__init__()
        self._session, self.annotations = session, annotations
        annotations.leaving.connect(self._save_again)
        self._folder = AutosaveFolder(root)
        self._numbers: dict[Hashable, int] = {}
        self._again: dict[Hashable, _Saved] = {}
        self._painted = False
        self._unsaved: Checkpoint | None = None
        self._kept: Checkpoint | None = None
        self._thread: JobThread | None = None
        self._saving: tuple[dict[Hashable, _Saved], Checkpoint | None] = {}, None
        self._problem, self._ended, self._discarded = "", False, False
        self.written = WrittenWork(session, annotations)
        self._window: weakref.ref[QWidget] | None = None
        self._close_requested = False
        session.versions.changed.connect(self._versions_changed)
        self._timer = QTimer(self)
        self._timer.setInterval(INTERVAL_MS)
        self._timer.timeout.connect(self.save)
        self._timer.start()
        QApplication.instance().aboutToQuit.connect(self.end)

    # -- saving

    @property
    def folder(self) -> AutosaveFolder:
        """Folder of this session."""
        return self._folder

    @property
    def ended(self) -> bool:
        """Whether the window was closed."""
        return self._ended

    @property
    def saving(self) -> bool:
        """Whether a saving runs."""
        return self._thread is not None

    @property
    def problem(self) -> str:
        """Reason why nothing can be autosaved, for the user, or ""."""
        return self._problem

    def unsaved_work(self) -> UnsavedWork:
        """Return what is in no file of the user."""
        return self.written.unsaved(self._unsaved or self._kept)

    def keep(self, checkpoint: Checkpoint) -> None:
        """Save a model with the next saving, such as that of a running training."""
        self._unsaved = checkpoint

    def forget(self, checkpoint: Checkpoint) -> None:
        """Keep a model no longer, because the user has written it to a file."""
        self.written.add_models([checkpoint])
        if checkpoint is self._unsaved:
            self._unsaved = None
        if checkpoint is self._kept:
            self._kept = None
            self._folder.remove_model()

    def annotations_changed(self, _: object = None) -> None:
        """Save the annotations with the next saving."""
        self._painted = True

    def layer_removed(self, pair: AnnotationPair) -> None:
        """Save an annotation once more: napari removes all layers before it closes a viewer."""
        described = self.annotations.described().get(pair.key)
        if described is not None:
            self._save_again(*described)
        if described is not None and self.annotations.detach(pair):
            self._follow(pair)

    def _save_again(self, pair: AnnotationPair, about: dict[str, Any]) -> None:
        self._again[pair.key] = self._to_save(pair, about)
        self._painted = True

    def follow_layers(self) -> None:
        """Notice strokes from now on without a panel, which is about to close."""
        described = self.annotations.described().values()
        self._painted = bool(described)
        for pair, _ in described:
            self._follow(pair)

    def _follow(self, pair: AnnotationPair) -> None:
        for event in (pair.labels.events.paint, pair.labels.events.data):
            event.connect(self.annotations_changed)

    def save(self) -> None:
        """Save in a thread what has changed since the last saving."""
        if self._thread is not None or not (self._painted or self._unsaved is not None):
            return
        annotations = self._annotations_to_save() if self._painted else {}
        model, self._painted, self._unsaved = self._unsaved, False, None
        folder = self._folder
        self._thread = JobThread(lambda _: _save_job(folder, list(annotations.values()), model))
        self._saving = annotations, model
        self._thread.ended.connect(self._saved)
        self._thread.start()

    def _saved(self, outcome: Outcome) -> None:
        self._thread = None
        (annotations, model), self._saving = self._saving, ({}, None)
        if not outcome.error:
            self._kept, self._problem = model or self._kept, ""
            if model is not None and self.written.has_model(model):  # written meanwhile
                self.forget(model)
            return
        self._again = annotations | self._again  # the next saving tries again
        self._painted = self._painted or bool(annotations)
        self._unsaved = self._unsaved or model
        problem = f"Annotations and model cannot be autosaved: {outcome.error}"
        if not self._problem:
            self.failed.emit(problem)
        self._problem = problem

    def _versions_changed(self) -> None:
        current = self._session.versions.current
        if current is None or current.how == "opened":
            return
        if not self.written.has_model(current.checkpoint):
            self._unsaved = current.checkpoint

    def _annotations_to_save(self) -> dict[Hashable, _Saved]:
        """Return all annotations, and removed ones that were not saved yet, by key."""
        again, self._again = self._again, {}
        return again | {k: self._to_save(*one) for k, one in self.annotations.described().items()}

    def _to_save(self, pair: AnnotationPair, about: dict[str, Any]) -> _Saved:
        number = self._numbers.setdefault(pair.key, len(self._numbers) + 1)
        image, copied = levels(pair.image)[0].array, COPIED_PIXELS.planes(pair.labels)
        about = {"strokes": stroke_count(self._session.project.record, pair.key)} | about
        return number, pair.values, about, image, copied

    # -- the end

    def watch(self, panel: QWidget) -> None:
        """End with the main window of a panel; a window of several is only hidden when closed."""
        window = panel.parentWidget()
        while window is not None and not isinstance(window, QMainWindow):
            window = window.parentWidget()
        if window is not None and self._window is None:
            self._window = weakref.ref(window)  # the window holds the viewer, and that this object
            window.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """End when the window was closed; another event filter or napari may refuse to close it.

        The user is asked about unsaved work only if the window system sends the event: a program
        that closes the window, or ends, would wait for an answer that nobody gives.
        """
        watches = self._window is not None and watched is self._window()
        kind = event.type() if watches else None
        asks = kind == QEvent.Type.Close and event.spontaneous() and not self._ended
        if asks and self.unsaved_work():
            event.ignore()
            self.close_requested.emit(watched)
            return True
        if kind == QEvent.Type.Close:
            self._close_requested = True
            if not watched.isVisible():  # no Hide will follow
                self.end()
        elif kind == QEvent.Type.Hide and self._close_requested:
            self.end()
        return False

    def discard(self) -> None:
        """Let `end` remove the folder of this session instead of saving."""
        self._discarded = True

    def end(self) -> None:
        """Save what is unsaved and leave the folder; the object is not used again."""
        if self._ended:
            return
        self._ended = True
        self.ending.emit()
        self._timer.stop()
        if self._thread is not None:
            self._thread.wait(5)
            self._again = self._saving[0] | self._again  # it may have failed
            self._unsaved = self._unsaved or self._saving[1]
            if self._unsaved is not None and self.written.has_model(self._unsaved):
                self._unsaved = None
                self._folder.remove_model()
        if self._discarded:
            self._folder.discard()
            return
        try:
            annotations = _unwritten(self._annotations_to_save(), self.written, self._folder)
            run_job(_save_job(self._folder, annotations, self._unsaved))
        except (OSError, ValueError) as error:  # no message can be shown in the closing window
            _LOG.error("Annotations and model could not be saved at the end: %s", error)
        self._folder.end()


def _unwritten(
    annotations: Mapping[Hashable, _Saved], written: WrittenWork, folder: AutosaveFolder
) -> list[_Saved]:
    """Return annotations that no file of the user has; remove the others from the folder."""
    unwritten = []
    for key, saved in annotations.items():
        number, values, about, *_ = saved
        if written.has_annotation(key, annotation_state(values, about)):
            folder.remove_annotation(number)
        else:
            unwritten.append(saved)
    return unwritten


def _save_job(
    folder: AutosaveFolder, annotations: list[_Saved], model: Checkpoint | None
) -> Generator[Any, None, None]:
    yield from ()
    for number, values, about, image, copied in annotations:
        about = about | {"fingerprint": image_fingerprint(image)}
        folder.save_annotation(number, values, about, copied, thumbnail_of(values, about, image))
    if model is not None:
        folder.save_model(model)
