"""The dock widget: tabs over one progress bar, around one `Session` per viewer."""

from __future__ import annotations

import importlib
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from qtpy.QtCore import QEvent, QSize, Qt, QTimer
from qtpy.QtWidgets import QDockWidget, QShortcut, QTabWidget, QVBoxLayout, QWidget
from superqt import QElidingLabel

from napari_emcad.interactive.session import Session
from napari_emcad.plugin.annotations.pairs import AnnotationLayers
from napari_emcad.plugin.autosave import controller as autosave_controller
from napari_emcad.plugin.autosave.close_question import CloseQuestion
from napari_emcad.plugin.autosave.controller import AutosaveController
from napari_emcad.plugin.autosave.kept import KeptAnnotations
from napari_emcad.plugin.autosave.saver import AutosaveSaver
from napari_emcad.plugin.autosave.sessions_controller import SessionsController
from napari_emcad.plugin.autosave.strip import RecoveryStrip
from napari_emcad.plugin.layers.follow_active import FollowActive
from napari_emcad.plugin.layers.geometry import unwrap
from napari_emcad.plugin.layers.image_input import ImageInput
from napari_emcad.plugin.layers.results import Results
from napari_emcad.plugin.model.tab import ModelTab
from napari_emcad.plugin.objects.tab import ObjectsTab
from napari_emcad.plugin.project.controller import ProjectController
from napari_emcad.plugin.runner.context import Context
from napari_emcad.plugin.runner.job_bar import JobBar
from napari_emcad.plugin.runner.job_runner import JobRunner
from napari_emcad.plugin.runner.thread import JobThread
from napari_emcad.plugin.runner.warm_up import warm_up_job
from napari_emcad.plugin.runner.whole_import import guard_imports
from napari_emcad.plugin.scores.tab import ScoresTab
from napari_emcad.plugin.segment.tab import SegmentTab
from napari_emcad.plugin.settings import inference_settings, open_bundled_at_start
from napari_emcad.plugin.stages.layers import StageLayers
from napari_emcad.plugin.stages.tab import StagesTab
from napari_emcad.plugin.teach.tab import TeachTab

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator, Sequence

    import napari.viewer
    from napari.layers import Labels

    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.plugin.annotations.pair import AnnotationPair
    from napari_emcad.plugin.tab import Tab

_WARM_UP_MS = 1500
"""Delay before the first Labels layer is prepared, so that it does not slow down the opening."""

_WIDTH = 330
"""Initial width in pixels."""

_SESSIONS: WeakKeyDictionary[Any, Session] = WeakKeyDictionary()
_PAIRS: WeakKeyDictionary[Any, dict[Any, AnnotationPair]] = WeakKeyDictionary()
_RESULTS: WeakKeyDictionary[Any, Results] = WeakKeyDictionary()
_MAPS: WeakKeyDictionary[Any, StageLayers] = WeakKeyDictionary()
_SAVERS: WeakKeyDictionary[Any, AutosaveSaver] = WeakKeyDictionary()
"""State of each viewer that outlives its panel."""


def session_of(viewer: napari.viewer.Viewer) -> Session:
    """Return the session of a viewer, or of a proxy of it."""
    return _SESSIONS.setdefault(unwrap(viewer), Session())


def show_panel(viewer: napari.viewer.Viewer) -> EmcadWidget:
    """Return the panel of a viewer, docked and raised."""
    dock, panel = viewer.window.add_plugin_dock_widget("napari-emcad", "EMCAD")
    dock.show()
    dock.raise_()
    widget: EmcadWidget = panel
    return widget


guard_imports()


class EmcadWidget(QWidget):
    """The tabs Segment, Teach, Objects, Scores, Stages and Model over one progress bar.

    Parameters
    ----------
    napari_viewer
        Viewer of the layers.

    Attributes
    ----------
    segment, teach, objects, scores, stages, model
        The tabs.
    annotations
        Annotation layers.
    runner, job_bar
        Runs jobs; shows their progress and messages.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.viewer = unwrap(napari_viewer)
        self.session = session_of(self.viewer)
        self._closed = False
        self._main_shortcuts: list[QShortcut] = []
        self._warmed_up: set[str] = set()
        self.job_bar = JobBar()
        self.runner = JobRunner(self.session, self.job_bar)
        self._make_tabs()
        self._build()
        self._connect()
        self._show_title(self.session.checkpoint)
        QTimer.singleShot(0, self._list_layers)
        if self.session.checkpoint is None and open_bundled_at_start():
            QTimer.singleShot(0, self._open_bundled)
        QTimer.singleShot(_WARM_UP_MS, JobThread(warm_up_job).start)
        QTimer.singleShot(0, self.autosave.search)

    def sizeHint(self) -> QSize:
        """Return a size that leaves room for the image beside the panel."""
        return QSize(_WIDTH, super().sizeHint().height())

    def reset_choices(self) -> None:
        """List the viewer's layers again; napari calls this when they change."""
        for tab in self.tabs:
            tab.layers_changed()

    def _make_tabs(self) -> None:
        viewer, settings = self.viewer, inference_settings()
        results = _RESULTS.setdefault(viewer, Results(viewer))
        image_input, pairs = ImageInput(settings.device), _PAIRS.setdefault(viewer, {})
        if viewer not in _SAVERS:
            root = autosave_controller.recovery_root()
            kept = KeptAnnotations(viewer, self.session, pairs)
            saver = _SAVERS[viewer] = AutosaveSaver(self.session, kept, root)
            CloseQuestion(saver, partial(_save_project, weakref.ref(viewer)))
        self.context = context = Context(
            viewer, self.session, results, image_input, self.runner, _SAVERS[viewer]
        )
        self._follow_active = FollowActive(viewer, image_input)
        self.annotations = AnnotationLayers(viewer, self.session.project, self, pairs)
        self.segment = SegmentTab(context, settings)
        self.teach = TeachTab(context, self.annotations)
        maps = _MAPS.setdefault(viewer, StageLayers(viewer))
        self.stages = StagesTab(context, self.annotations, maps)
        self.objects, self.scores = ObjectsTab(context), ScoresTab(context)
        self.model = ModelTab(context)
        self.tabs: tuple[Tab, ...] = (
            self.segment,
            self.teach,
            self.objects,
            self.scores,
            self.stages,
            self.model,
        )
        self.project = ProjectController(
            context, self.annotations, self.teach.panel.project, self.segment.panel
        )
        self.recovery = RecoveryStrip()
        self.autosave = AutosaveController(context, self.annotations, self.recovery)
        self.sessions = SessionsController(context, self.autosave, self)

    def _build(self) -> None:
        self._title = QElidingLabel()
        self._title.setTextFormat(Qt.TextFormat.PlainText)
        self._title.setElideMode(Qt.TextElideMode.ElideRight)
        self._title.setStyleSheet("font-weight: bold;")
        self._tabs = QTabWidget()
        for tab in self.tabs:
            self._tabs.addTab(tab.panel, tab.title)
        column = QVBoxLayout(self)
        column.addWidget(self._title)
        column.addWidget(self.recovery)
        column.addWidget(self.teach.interrupted)
        column.addWidget(self._tabs, 1)
        column.addWidget(self.job_bar)

    def _connect(self) -> None:
        self.teach.bind_shortcuts(self)
        self.teach.panel.versions.save_requested.connect(self.model.controller.save_version)
        self.segment.panel.model.save_requested.connect(self.model.controller.save_instant)
        self.scores.controller.scored.connect(self.teach.review.set_score)
        self.segment.controller.segmented.connect(self.model.shelf.keep_picture)
        self.teach.training.unfinished.connect(self.context.saver.keep)
        self.objects.correcting.annotate_requested.connect(self._teach_objects)
        self.model.controller.written.connect(self.context.saver.forget)
        self.context.saver.ending.connect(self.close_down)
        self.teach.panel.project.sessions_requested.connect(self.sessions.show)
        self.autosave.restored.connect(lambda: self.show_tab(self.teach))
        self.project.opened.connect(self.context.saver.annotations_changed)
        self.session.checkpoint_changed.connect(self._show_title)
        self._tabs.currentChanged.connect(self._warm_up)

    def show_tab(self, tab: Tab) -> None:
        """Bring a tab to the front."""
        self._tabs.setCurrentWidget(tab.panel)

    def _teach_objects(self, layer: Labels, numbers: Sequence[int]) -> None:
        """Copy accepted objects into the annotation, and show it."""
        self.teach.tools.copy_objects(layer, numbers)
        self.show_tab(self.teach)

    def _list_layers(self) -> None:
        if not self._closed:
            self.reset_choices()
            self.context.saver.watch(self)
            self._follow_dock()

    def _follow_dock(self) -> None:
        """Bind the shortcuts to the main window as well while the dock is a window of its own."""
        dock = self.parentWidget()
        main = None if dock is None else dock.parentWidget()
        if isinstance(dock, QDockWidget) and main is not None and not self._main_shortcuts:
            self._main_shortcuts = self.teach.bind_shortcuts(main)
            dock.topLevelChanged.connect(self._dock_floats)
            self._dock_floats(dock.isFloating())

    def _dock_floats(self, floats: bool) -> None:
        for shortcut in self._main_shortcuts:
            shortcut.setEnabled(floats)

    def _show_title(self, checkpoint: Checkpoint | None) -> None:
        self._title.setText(checkpoint.title if checkpoint else "No model is open")

    def _open_bundled(self) -> None:
        """Open the bundled model, unless another one is opened together with the panel."""
        if not self._closed and self.session.checkpoint is None and self.session.running is None:
            self.model.controller.open_bundled()

    def _warm_up(self, index: int) -> None:
        """Import what the tab needs in a thread, so that the first stroke does not wait for it."""
        module = self.tabs[index].warm_up_module
        if module and module not in self._warmed_up:
            self._warmed_up.add(module)
            JobThread(partial(_import, module)).start()

    # -- closing

    def close_down(self) -> None:
        """Stop the running job and disconnect from the viewer; the panel is not used again."""
        if self._closed:
            return
        self._closed = True
        for shortcut in self._main_shortcuts:
            shortcut.setEnabled(False)
            shortcut.deleteLater()
        self._main_shortcuts = []
        self.runner.abandon()
        self.sessions.release()
        self.autosave.release()
        for tab in self.tabs:
            tab.release()
        self._follow_active.release()
        self.annotations.release()
        self.session.checkpoint_changed.disconnect(self._show_title)
        self.runner.release()

    def event(self, event: QEvent) -> bool:
        """List the layers when the panel is docked; close down when it is taken out of its dock.

        Taking a widget out is how napari closes a dock. Only a docked panel finds its viewer.
        """
        if event.type() == QEvent.Type.ParentChange:
            self.close_down() if self.parent() is None else self._list_layers()
        handled: bool = super().event(event)
        return handled


def _save_project(viewer: weakref.ref[Any], then: Callable[[], object]) -> None:
    """Ask for a folder in the panel of a viewer, save a project there, and call a function."""
    if (alive := viewer()) is not None:
        show_panel(alive).project.ask_and_save(then)


def _import(name: str, _: threading.Event) -> Generator[Any, None, None]:
    yield from ()
    importlib.import_module(name)
