"""The dock widget: the panels composed around one Session per viewer."""

from __future__ import annotations

import importlib
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from qtpy.QtCore import QEvent, QObject, QSize, Qt, QTimer
from qtpy.QtWidgets import QApplication, QTabWidget, QVBoxLayout, QWidget
from superqt import QElidingLabel
from superqt.utils import qdebounced

from napari_emcad.inference.events import Notice, Region, Summary
from napari_emcad.io.checkpoint_file import bundled_checkpoint, read_checkpoint, write_checkpoint
from napari_emcad.io.recognise import CheckpointError
from napari_emcad.io.recovery import settle
from napari_emcad.jobs import segment_job
from napari_emcad.plugin.calibrator import Calibrator
from napari_emcad.plugin.classroom import Classroom
from napari_emcad.plugin.job_bar import JobBar, JobThread, Outcome
from napari_emcad.plugin.keeper import Keeper
from napari_emcad.plugin.layers import unwrapped
from napari_emcad.plugin.look import shortened
from napari_emcad.plugin.model_panel import ModelPanel
from napari_emcad.plugin.observatory import Observatory
from napari_emcad.plugin.preferences import inference_settings, opens_bundled, remember
from napari_emcad.plugin.recovery_strip import RecoveryStrip
from napari_emcad.plugin.request import segment_request
from napari_emcad.plugin.results import Result, Results
from napari_emcad.plugin.segment_panel import SegmentPanel
from napari_emcad.plugin.stage_layers import StageLayers
from napari_emcad.plugin.stages_panel import StagesPanel
from napari_emcad.plugin.suggester import Suggester
from napari_emcad.plugin.teach_panel import TeachPanel
from napari_emcad.plugin.teacher import Teacher
from napari_emcad.session import Session, Ticket

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator
    from pathlib import Path

    import napari.viewer

    from napari_emcad.io.checkpoint import Checkpoint
    from napari_emcad.io.recovery import Lost
    from napari_emcad.plugin.notes import LayerPair
    from napari_emcad.versions import Version

_LOST = "its format has no place for class names, preprocessing and history."
_DRAWN_ANEW = (
    "Which strokes are held out is drawn anew: of those that this model has learnt already, scores "
    "say too much."
)
_WARM_UP_MS = 1500
"""After the panel opened; earlier it would slow the opening down."""

_WIDTH = 330
"""Pixels, at first."""

_SESSIONS: WeakKeyDictionary[Any, Session] = WeakKeyDictionary()
_PAIRS: WeakKeyDictionary[Any, dict[Any, LayerPair]] = WeakKeyDictionary()
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

    Parameters
    ----------
    napari_viewer
        The viewer whose layers are segmented.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.viewer = unwrapped(napari_viewer)
        self.session = session_of(self.viewer)
        self.results = _RESULTS.setdefault(self.viewer, Results(self.viewer))
        self.job_bar = JobBar()
        self.model_panel = ModelPanel()
        self.segment_panel = SegmentPanel(inference_settings())
        self.teach_panel = TeachPanel()
        self.teacher = Teacher(
            self.viewer,
            self.session,
            self.results,
            self.job_bar,
            self.teach_panel.form.value,
            self.segment_panel.device.currentData,
            _PAIRS.setdefault(self.viewer, {}),
        )
        self.keeper = Keeper(self.viewer, self.session, self.teacher.notes, self)
        self.recovery = RecoveryStrip()
        self.classroom = Classroom(
            self,
            self.viewer,
            self.session,
            self.results,
            self.teacher,
            self.teach_panel,
            self.segment_panel,
            self.job_bar.say,
        )
        self.stages_panel = StagesPanel()
        self.observatory = Observatory(
            self,
            self.viewer,
            self.session,
            _MAPS.setdefault(self.viewer, StageLayers(self.viewer)),
            self.stages_panel,
            self.segment_panel,
            self.job_bar,
        )
        self.suggester = Suggester(
            self.viewer,
            self.session,
            self.teacher,
            self.stages_panel,
            self.segment_panel,
            self.job_bar,
        )
        self.calibrator = Calibrator(
            self.session,
            self.teacher,
            self.stages_panel.calibration,
            self.segment_panel,
            self.job_bar,
        )
        self._device_query: JobThread | None = None
        self._closed, self._asked_to_close = False, False
        self._warm: set[str] = set()
        self._title = QElidingLabel()
        self._title.setTextFormat(Qt.TextFormat.PlainText)
        self._tabs = QTabWidget()
        self._build()
        self._connect()
        self._show_checkpoint(self.session.checkpoint)
        if self.session.checkpoint is None and opens_bundled():
            QTimer.singleShot(0, self._open_bundled_first)
        QTimer.singleShot(_WARM_UP_MS, JobThread(_warm_up).start)
        QTimer.singleShot(0, self.keeper.search)
        self._tabs.currentChanged.connect(self._warm_up_tab)

    def sizeHint(self) -> QSize:
        """Return a size that leaves room for the image beside it."""
        return QSize(_WIDTH, super().sizeHint().height())

    # -- opening and saving models

    def open_bundled(self) -> None:
        """Open the model that comes with the package."""
        self._open("Opening the bundled model", bundled_checkpoint)

    def _open_bundled_first(self) -> None:
        """Open the bundled model unless another one was asked for together with the panel."""
        if not self._closed and self.session.checkpoint is None and self.session.running is None:
            self.open_bundled()

    def open_file(self, path: Path) -> None:
        """Open a checkpoint file; what is wrong with it is said in the panel."""
        path = path.absolute()

        def opened(checkpoint: Checkpoint) -> None:
            remember(path)
            self.session.open(checkpoint)

        self._open(f"Opening {shortened(path.name)}", lambda: read_checkpoint(path), opened)

    def save_file(self, path: Path) -> None:
        """Write the open model, with what was filled in."""
        checkpoint = self.session.checkpoint
        if checkpoint is None:
            return
        path = path.absolute()

        def saved(_: None) -> None:
            if path.suffix.lower() == ".safetensors":
                self.job_bar.say(f"Saved as {path}.")
                remember(path)
                self.model_panel.show_checkpoint(self.session.checkpoint)
            else:
                self.job_bar.say(f"Saved as {path}; {_LOST}")

        work = partial(write_checkpoint, checkpoint, path)
        self._start(f"Saving {shortened(path.name)}", work, saved)

    def save_version(self, version: Version, path: Path) -> None:
        """Write a version of this sitting."""
        path = path.absolute()
        work = partial(write_checkpoint, version.checkpoint, path)
        self._start(
            f"Saving {shortened(path.name)}", work, lambda _: self.job_bar.say(f"Saved as {path}.")
        )

    def override(self, overrides: dict[str, Any]) -> None:
        """Set what the file does not say."""
        try:
            self.session.override(**overrides)
        except CheckpointError as error:
            self.job_bar.say(str(error), error=True)
            self.model_panel.show_checkpoint(self.session.checkpoint)

    def _open(
        self,
        verb: str,
        read: Callable[[], Checkpoint],
        opened: Callable[[Checkpoint], object] | None = None,
    ) -> None:
        self._start(verb, read, opened or self.session.open)

    def _start(self, verb: str, work: Callable[[], Any], done: Callable[[Any], object]) -> None:
        """Do short work in the job's thread, where files may be slow and torch is imported."""
        if self.session.running is not None:
            self.job_bar.say(f"{self.session.running.verb}: wait or stop it first.", error=True)
            self.model_panel.show_checkpoint(self.session.checkpoint)
            return

        def job(_: threading.Event) -> Generator[Any, None, Any]:
            yield from ()
            return work()

        ticket = self.session.begin(verb)

        def ended(outcome: Outcome) -> None:
            self._end(ticket, outcome)
            if outcome.error:
                self.model_panel.show_checkpoint(self.session.checkpoint)
            else:
                done(outcome.result)

        self.job_bar.start(verb, job, lambda event: None, ended)

    def _warm_up_tab(self) -> None:
        """Import what a tab needs once it is opened, rather than at the first stroke or look."""
        needed = {
            self.teach_panel: "napari_emcad.tutor",
            self.stages_panel: "napari_emcad.inference.inside",
        }.get(self._tabs.currentWidget())
        if needed is not None and needed not in self._warm:
            self._warm.add(needed)
            JobThread(partial(_import, needed)).start()

    # -- segmenting

    def run(self) -> None:
        """Segment what the panel says."""
        checkpoint, layer = self.session.checkpoint, self.segment_panel.layer
        if self._why_not_run() or checkpoint is None or layer is None:
            self._show_reason()
            return
        choices = self.segment_panel.value()
        slices, target = segment_request(self.viewer, unwrapped(layer), choices, checkpoint)
        try:
            result = self.results.begin(target)
        except MemoryError:
            self.job_bar.say("There is no memory left for the result.", error=True)
            return
        ticket = self.session.begin(f"Segmenting {shortened(layer.name)}", result)
        objects, settings = result.object_classes, choices.settings
        self.job_bar.start(
            ticket.verb,
            lambda stop: segment_job(slices, checkpoint, settings, stop, objects),
            lambda event: self._fill(ticket, result, event),
            lambda outcome: self._segmented(ticket, outcome),
        )

    def _fill(self, ticket: Ticket, result: Result, event: Any) -> None:
        if self.session.accept(ticket, event) and isinstance(event, Region):
            result.fill(event)

    def _arrived(self, _: Ticket, event: Any) -> None:
        if isinstance(event, Notice):
            self.job_bar.say(event.text)

    def _segmented(self, ticket: Ticket, outcome: Outcome) -> None:
        result: Result = ticket.snapshot
        result.finish(outcome.result)
        self._end(ticket, outcome)
        if isinstance(outcome.result, Summary):
            self.job_bar.say(_told(outcome.result, outcome.seconds, result.object_count))
        self._query_devices()

    def _end(self, ticket: Ticket, outcome: Outcome) -> None:
        self.session.end(ticket)
        if outcome.error:
            self.job_bar.say(outcome.error, error=True)

    def _why_not_run(self) -> str:
        panel = self.segment_panel
        return (
            self.session.why_not_run()
            or panel.problem
            or panel.device.problem
            or self._request_problem()
        )

    def _request_problem(self) -> str:
        checkpoint, layer = self.session.checkpoint, self.segment_panel.layer
        if checkpoint is None or layer is None:
            return ""
        try:
            segment_request(self.viewer, unwrapped(layer), self.segment_panel.value(), checkpoint)
        except (ValueError, TypeError) as error:
            return str(error)
        return ""

    def _restore(self, lost: Lost) -> None:
        """Bring back what a crash left behind."""
        if self.session.running is not None:
            self.job_bar.say(f"{self.session.running.verb}: restore it after that.", error=True)
            self.recovery.show_lost([lost, *self.recovery.lost])
            return
        alone, troubles = self.keeper.restore(lost)
        said = "Restored."
        if alone:
            named = ", ".join(f"“{name}”" for name in alone)
            said += f" Open the image of {named} and choose it with Use a layer."
        elif lost.model:
            said += f" {_DRAWN_ANEW}"
        self.job_bar.say(" ".join([said, *troubles]), error=bool(troubles))
        self._tabs.setCurrentWidget(self.teach_panel)

    # -- what is shown

    def reset_choices(self) -> None:
        """List the viewer's layers again; napari calls it when they change."""
        self.segment_panel.reset_choices()
        self.teach_panel.reset_choices()
        self.classroom.show_soon()
        self.stages_panel.reset_choices()
        self.observatory.layers_changed()
        self._show_reason()

    def _show_checkpoint(self, checkpoint: Checkpoint | None) -> None:
        self._title.setText(checkpoint.title if checkpoint else "No model is open")
        self.model_panel.show_checkpoint(checkpoint)
        if checkpoint is not None:
            self.segment_panel.show_checkpoint(checkpoint)
        self._show_reason()

    def _show_reason(self, *_: Any) -> None:
        running = self.session.running is not None
        self.segment_panel.show_reason(self._why_not_run(), running)
        self.model_panel.show_running(running)

    def _query_devices(self) -> None:
        """List the processors; torch is imported in a thread, once."""
        if self._device_query is not None or self._closed:
            return
        self._device_query = JobThread(_device_job)
        self._device_query.ended.connect(self._show_devices)
        self._device_query.start()

    def _show_devices(self, outcome: Outcome) -> None:
        self._device_query = None
        if not outcome.error:
            self.segment_panel.device.show_choices(outcome.result)
            self._show_reason()

    # -- life and death

    def _build(self) -> None:
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
        self.model_panel.bundled_wanted.connect(self.open_bundled)
        self.model_panel.file_wanted.connect(self.open_file)
        self.model_panel.save_wanted.connect(self.save_file)
        self.model_panel.overridden.connect(self.override)
        self.model_panel.revert_wanted.connect(self.session.revert)
        self.teach_panel.versions.save_wanted.connect(self.save_version)
        self.teacher.unfinished.connect(self.keeper.keep)
        self.keeper.troubled.connect(lambda said: self.job_bar.say(said, error=True))
        self.keeper.found.connect(self.recovery.show_lost)
        self.recovery.restore_wanted.connect(self._restore)
        self.recovery.leave_wanted.connect(settle)
        self.segment_panel.run_wanted.connect(self.run)
        self.segment_panel.value_changed.connect(self._show_reason)
        self.segment_panel.device.asked.connect(self._query_devices)
        self.session.checkpoint_changed.connect(self._show_checkpoint)
        self.session.running_changed.connect(self._show_reason)
        self.session.arrived.connect(self._arrived)
        self._reason_soon = qdebounced(self._show_reason, timeout=150)
        for change in (self.viewer.dims.events, self.viewer.scene.camera.events):
            change.connect(self._reason_soon)
        QApplication.instance().aboutToQuit.connect(self.close_down)

    def close_down(self) -> None:
        """End what runs and let go of the viewer; the panel is not used again."""
        if self._closed:
            return
        self._closed = True
        self.job_bar.close_down()
        self.segment_panel.release()
        self.keeper.release()
        self.classroom.release()
        self.observatory.release()
        self.calibrator.release()
        if self._device_query is not None:
            self._device_query.give_up()
        if self.session.running is not None:
            self._abandon(self.session.running)
        self.session.checkpoint_changed.disconnect(self._show_checkpoint, missing_ok=True)
        self.session.running_changed.disconnect(self._show_reason, missing_ok=True)
        self.session.arrived.disconnect(self._arrived, missing_ok=True)
        for change in (self.viewer.dims.events, self.viewer.scene.camera.events):
            change.disconnect(self._reason_soon)

    def _abandon(self, ticket: Ticket) -> None:
        if hasattr(ticket.snapshot, "release"):
            ticket.snapshot.release()
        self.session.end(ticket)

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


def _warm_up(_: threading.Event) -> Generator[Any, None, None]:
    """Import what napari imports with the first result: 0.2 s that the window would stand still."""
    yield from ()
    importlib.import_module("pandas")


def _import(name: str, _: threading.Event) -> Generator[Any, None, None]:
    yield from ()
    importlib.import_module(name)


def _device_job(_: threading.Event) -> Generator[Any, None, Any]:
    from napari_emcad.inference.devices import device_choices

    yield from ()
    return device_choices()


def _told(summary: Summary, seconds: float, objects: int) -> str:
    found = f", {objects} object{'s' if objects > 1 else ''}" if summary.object_classes else ""
    done, total = summary.slices_done, summary.slices_total
    if summary.ending == "stopped":
        after = f" after {done} of {total} slices" if total > 1 else ""
        said = f"Stopped{after}; what was done stays."
    else:
        count = f"{total} slices" if total > 1 else "Segmented"
        said = f"{count} in {seconds:.1f} s on {summary.device}{found}."
    return " ".join([said, *summary.notices])
