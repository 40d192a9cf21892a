"""The dock widget: the panels composed around one Session per viewer."""

from __future__ import annotations

import importlib
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from qtpy.QtCore import QEvent, QObject, QSize, Qt, QTimer
from qtpy.QtWidgets import QApplication, QTabWidget, QVBoxLayout, QWidget
from superqt import QElidingLabel

from napari_emcad.interactive.session import Session
from napari_emcad.plugin.annotations.pairs import AnnotationLayers
from napari_emcad.plugin.autosave.controller import AutosaveController
from napari_emcad.plugin.autosave.strip import RecoveryStrip
from napari_emcad.plugin.layers.geometry import unwrapped
from napari_emcad.plugin.layers.results import Results
from napari_emcad.plugin.model.controller import ModelController
from napari_emcad.plugin.model.panel import ModelPanel
from napari_emcad.plugin.runner.context import Context
from napari_emcad.plugin.runner.job_bar import JobBar
from napari_emcad.plugin.runner.thread import JobThread
from napari_emcad.plugin.segment.controller import SegmentController
from napari_emcad.plugin.segment.panel import SegmentPanel
from napari_emcad.plugin.settings import inference_settings, opens_bundled
from napari_emcad.plugin.stages.calibrate_controller import CalibrateController
from napari_emcad.plugin.stages.controller import StagesController
from napari_emcad.plugin.stages.layers import StageLayers
from napari_emcad.plugin.stages.panel import StagesPanel
from napari_emcad.plugin.stages.suggest_controller import SuggestController
from napari_emcad.plugin.teach.controller import TeachController
from napari_emcad.plugin.teach.panel import TeachPanel
from napari_emcad.plugin.teach.preview import Preview
from napari_emcad.plugin.teach.training import TrainingRunner

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator

    import napari.viewer

    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.plugin.annotations.pairs import AnnotationPair

_WARM_UP_MS = 1500
"""After the panel opened; earlier it would slow the opening down."""

_WITH_RESULTS = "pandas"
"""What napari imports with the first result: 0.2 s that the window would stand still."""

_WIDTH = 330
"""Pixels, at first."""

_SESSIONS: WeakKeyDictionary[Any, Session] = WeakKeyDictionary()
_PAIRS: WeakKeyDictionary[Any, dict[Any, AnnotationPair]] = WeakKeyDictionary()
_RESULTS: WeakKeyDictionary[Any, Results] = WeakKeyDictionary()
_MAPS: WeakKeyDictionary[Any, StageLayers] = WeakKeyDictionary()


def session_of(viewer: napari.viewer.Viewer) -> Session:
    """Return the one session of a viewer, whichever proxy of it is handed in."""
    return _SESSIONS.setdefault(unwrapped(viewer), Session())


def show_panel(viewer: napari.viewer.Viewer) -> EmcadWidget:
    """Return the panel of a viewer, docked and on screen."""
    dock, panel = viewer.window.add_plugin_dock_widget("napari-emcad", "EMCAD")
    dock.show()
    dock.raise_()
    found: EmcadWidget = panel
    return found


class EmcadWidget(QWidget):
    """Segment, Teach, Stages and Model panels over one job bar.

    Each panel edits values; a controller beside it does what it wants.

    Parameters
    ----------
    napari_viewer
        The viewer whose layers are segmented.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.viewer = unwrapped(napari_viewer)
        self.session = session_of(self.viewer)
        self._closed, self._asked_to_close = False, False
        self._warm: set[str] = set()
        self._make_panels()
        self._make_controllers()
        self._build()
        self._connect()
        self._show_title(self.session.checkpoint)
        if self.session.checkpoint is None and opens_bundled():
            QTimer.singleShot(0, self._open_bundled_first)
        QTimer.singleShot(_WARM_UP_MS, JobThread(partial(_import, _WITH_RESULTS)).start)
        QTimer.singleShot(0, self.autosave_controller.search)

    def sizeHint(self) -> QSize:
        """Return a size that leaves room for the image beside it."""
        return QSize(_WIDTH, super().sizeHint().height())

    def reset_choices(self) -> None:
        """List the viewer's layers again; napari calls it when they change."""
        for panel in (self.segment_panel, self.teach_panel, self.stages_panel):
            panel.reset_choices()
        self.teach_controller.show_soon()
        self.stages_controller.layers_changed()
        self.suggest_controller.layers_changed()
        self.segment_controller.show()

    def _make_panels(self) -> None:
        self._title = QElidingLabel()
        self._tabs = QTabWidget()
        self.segment_panel = SegmentPanel(inference_settings())
        self.teach_panel = TeachPanel()
        self.stages_panel = StagesPanel()
        self.model_panel = ModelPanel()
        self.recovery = RecoveryStrip()
        self.job_bar = JobBar()

    def _make_controllers(self) -> None:
        viewer = self.viewer
        results = _RESULTS.setdefault(viewer, Results(viewer))
        maps = _MAPS.setdefault(viewer, StageLayers(viewer))
        pairs = _PAIRS.setdefault(viewer, {})
        context = Context(viewer, self.session, results, self.segment_panel, self.job_bar)
        self.model_controller = ModelController(context, self.model_panel)
        self.segment_controller = SegmentController(context)
        self.notes = notes = AnnotationLayers(viewer, self.session.project, self, pairs)
        self.preview = preview = Preview(context, notes)
        form, stages = self.teach_panel.form, self.stages_panel
        self.training_runner = training_runner = TrainingRunner(context, notes, preview, form.value)
        self.teach_controller = TeachController(
            context, notes, preview, training_runner, self.teach_panel
        )
        self.teach_controller.bind(self)
        self.stages_controller = StagesController(context, maps, stages)
        self.suggest_controller = SuggestController(context, notes, stages)
        self.calibrate_controller = CalibrateController(context, notes, stages.calibration)
        self.autosave_controller = AutosaveController(context, notes, self.recovery)

    def _build(self) -> None:
        self._title.setTextFormat(Qt.TextFormat.PlainText)
        self._title.setElideMode(Qt.TextElideMode.ElideRight)
        self._title.setStyleSheet("font-weight: bold;")
        self._tabs.addTab(self.segment_panel, "Segment")
        self._tabs.addTab(self.teach_panel, "Teach")
        self._tabs.addTab(self.stages_panel, "Stages")
        self._tabs.addTab(self.model_panel, "Model")
        column = QVBoxLayout(self)
        column.addWidget(self._title)
        column.addWidget(self.recovery)
        column.addWidget(self._tabs, 1)
        column.addWidget(self.job_bar)

    def _connect(self) -> None:
        self.teach_panel.versions.save_wanted.connect(self.model_controller.save_version)
        self.training_runner.unfinished.connect(self.autosave_controller.keep)
        self.autosave_controller.restored.connect(
            lambda: self._tabs.setCurrentWidget(self.teach_panel)
        )
        self.session.checkpoint_changed.connect(self._show_title)
        self._tabs.currentChanged.connect(self._warm_up_tab)
        QApplication.instance().aboutToQuit.connect(self.close_down)

    def _show_title(self, checkpoint: Checkpoint | None) -> None:
        self._title.setText(checkpoint.title if checkpoint else "No model is open")

    # -- beginnings

    def _open_bundled_first(self) -> None:
        """Open the bundled model unless another one was asked for together with the panel."""
        if not self._closed and self.session.checkpoint is None and self.session.running is None:
            self.model_controller.open_bundled()

    def _warm_up_tab(self) -> None:
        """Import what a tab needs once it is opened, rather than at the first stroke or look."""
        needed = {
            self.teach_panel: "napari_emcad.interactive.live",
            self.stages_panel: "napari_emcad.inference.stage_maps.extract",
        }.get(self._tabs.currentWidget())
        if needed is not None and needed not in self._warm:
            self._warm.add(needed)
            JobThread(partial(_import, needed)).start()

    # -- ends

    def close_down(self) -> None:
        """End what runs and let go of the viewer; the panel is not used again."""
        if self._closed:
            return
        self._closed = True
        self.job_bar.close_down()
        for each in (
            self.autosave_controller,
            self.segment_controller,
            self.model_controller,
            self.teach_controller,
            self.training_runner,
            self.preview,
            self.notes,
            self.stages_controller,
            self.suggest_controller,
            self.calibrate_controller,
        ):
            each.release()
        self.session.checkpoint_changed.disconnect(self._show_title)
        running = self.session.running
        if running is not None:
            if hasattr(running.snapshot, "release"):
                running.snapshot.release()
            self.session.end(running)

    def event(self, event: QEvent) -> bool:
        """Notice that napari took the panel out of its dock, which is how a dock is closed."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.close_down()
        if event.type() == QEvent.Type.Show:
            self.window().installEventFilter(self)
        handled: bool = super().event(event)
        return handled

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Notice that the window was closed, perhaps as one of several: asked to, it is hidden."""
        if watched is self.window() and event.type() == QEvent.Type.Close:
            self._asked_to_close = True
        elif watched is self.window() and event.type() == QEvent.Type.Hide and self._asked_to_close:
            self.close_down()
        handled: bool = super().eventFilter(watched, event)
        return handled


def _import(name: str, _: threading.Event) -> Generator[Any, None, None]:
    yield from ()
    importlib.import_module(name)
