"""Shows the state of annotations, classes, trainings and versions on the Teach tab."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from qtpy.QtCore import QObject
from superqt.utils import qthrottled

from napari_emcad.interactive.progress import progress_message
from napari_emcad.plugin.annotations.layer import is_prediction
from napari_emcad.plugin.settings import set_training_pace, training_pace
from napari_emcad.plugin.teach.fill_between import stack_axis
from napari_emcad.plugin.teach.step_timer import StepTimer
from napari_emcad.training.events import EpochEnd, StepEnd

if TYPE_CHECKING:
    from napari_emcad.plugin.annotations.pairs import AnnotationLayers
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.teach.annotation_controller import AnnotationController
    from napari_emcad.plugin.teach.instant_controller import InstantController
    from napari_emcad.plugin.teach.panel import TeachPanel
    from napari_emcad.plugin.teach.training_controller import TrainingController

_SHOW_MS = 80


class TeachView(QObject):
    """Keeps the Teach tab up to date.

    Parameters
    ----------
    context
        Shared state of the panel.
    annotations
        Annotation layers.
    annotating, training, instant
        Controllers whose state is shown.
    panel
        Fields of the tab.
    """

    def __init__(
        self,
        context: Context,
        annotations: AnnotationLayers,
        annotating: AnnotationController,
        training: TrainingController,
        instant: InstantController,
        panel: TeachPanel,
    ) -> None:
        super().__init__(panel)
        self._viewer, self._session = context.viewer, context.session
        self._input, self._runner = context.image_input, context.runner
        self._annotations, self._annotating = annotations, annotating
        self._training, self._instant, self._panel = training, instant, panel
        self._step, self._timer = 0, StepTimer()
        self._last_version = max((one.number for one in self._session.versions), default=0)
        panel.form.show_pace(training_pace())
        self.show_soon = qthrottled(self.show, timeout=_SHOW_MS, parent=self)
        annotating.changed.connect(self.show_soon)
        annotating.remark.connect(panel.show_remark)
        for controller in (training, instant):
            controller.changed.connect(self.show_soon)
            controller.shown.connect(panel.show_source)
        training.started.connect(self._start_curve)
        training.progressed.connect(self._extend_curve)
        panel.form.changed.connect(self.show_soon)
        for signal in self._signals():
            signal.connect(self.show_soon)
        self._session.versions.changed.connect(self._add_update)

    def show(self, _: object = None) -> None:
        """Show the present state."""
        panel, training = self._panel, self._training
        self._runner.check_message()
        self._show_annotations()
        panel.versions.show_versions(self._session.versions)
        panel.versions.show_hint(self._progress_hint())
        panel.versions.show_running(self._session.running is not None)
        panel.show_layers(self._usable_layers(), self._input.layer is not None)
        running = self._session.running
        panel.show_state(
            reason=panel.form.problem or training.why_not(),
            score=" ".join(filter(None, [training.tasks.conflict_message(), self._score()])),
            busy=running is not None and not running.preemptible,
            live=training.live_state,
            instant=self._instant.state,
            updating=training.updating,
        )

    def _show_annotations(self) -> None:
        project, pair, panel = self._session.project, self._annotating.pair, self._panel
        names = {pair.key: pair.labels.name for pair in self._annotations.pairs}
        panel.annotations.show_entries(list(project.entries.values()), names)
        panel.annotations.show_current(None if pair is None else pair.key)
        record = project.record
        panel.classes.show_classes(project.classes, record.pixel_counts, record.stroke_counts)
        panel.classes.show_current(self._annotating.painted_class)
        prediction = self._annotating.prediction
        panel.show_visible(
            None if pair is None else pair.labels.visible,
            None if prediction is None else prediction.visible,
            prediction is not None,
            pair is not None and stack_axis(pair) is not None,
        )

    def _score(self) -> str:
        project, version = self._session.project, self._session.versions.current
        if not project.record.pixel_counts:
            return ""
        if version is not None and version.score is not None:
            dice, iou = version.score.dice, version.score.iou
            return f"Dice {dice:.3f}, IoU {iou:.3f} on {version.held_out:,} held-out pixels."
        return (
            project.record.why_no_score() or "Held-out strokes are scored with the next training."
        )

    def _progress_hint(self) -> str:
        project, versions = self._session.project, self._session.versions
        reason = project.record.why_no_score() if project.record.pixel_counts else ""
        return progress_message(list(versions), versions.current, reason)

    def _usable_layers(self) -> list[Labels]:
        """Return the Labels layers that are neither annotations nor results."""
        used = {id(pair.labels) for pair in self._annotations.pairs}
        labels = [layer for layer in self._viewer.layers if isinstance(layer, Labels)]
        return [layer for layer in labels if id(layer) not in used and not is_prediction(layer)]

    def _start_curve(self, steps: int) -> None:
        """Start a curve for a training of so many steps; live updates continue theirs."""
        self._timer.start(self._panel.form.batch_pixels if steps else 0)
        if steps or not self._training.updating or self._step == 0:
            self._panel.curve.clear(steps)
            self._step = 0

    def _extend_curve(self, event: StepEnd | EpochEnd) -> None:
        curve = self._panel.curve
        if isinstance(event, StepEnd):
            self._step += 1
            curve.add_loss(self._step, event.loss)
            curve.setVisible(True)
            if pace := self._timer.step():
                self._panel.form.show_pace(pace)
                set_training_pace(pace)
        elif event.dice is not None and not self._session.project.record.why_no_score():
            curve.add_score(self._step, event.dice)

    def _add_update(self) -> None:
        """Add the score of a live update to the curve."""
        version = self._session.versions.current
        if version is None or version.number <= self._last_version:
            return
        self._last_version = version.number
        if version.how == "live" and version.score is not None:
            self._panel.curve.add_score(self._step, version.score.dice)

    def _signals(self) -> tuple[Any, ...]:
        session = self._session
        return (
            self._input.layer_changed,
            session.project.classes_changed,
            session.project.entries_changed,
            session.project.record_changed,
            session.versions.changed,
            session.running_changed,
        )

    def release(self) -> None:
        """Disconnect from the session; the view is not used again."""
        for signal in self._signals():
            signal.disconnect(self.show_soon)
        self._session.versions.changed.disconnect(self._add_update)
