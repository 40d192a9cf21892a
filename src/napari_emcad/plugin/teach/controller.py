"""Between the Teach panel, the layers and the session: what each button and stroke does."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from qtpy.QtCore import QObject
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QShortcut
from superqt.utils import qthrottled

from napari_emcad.interactive.progress import progress_message
from napari_emcad.plugin.annotations.layer import is_prediction, new_annotation, read_anew
from napari_emcad.plugin.annotations.pairs import AnnotationPair
from napari_emcad.plugin.layers.geometry import unwrapped
from napari_emcad.plugin.teach.correction import copy_prediction
from napari_emcad.training.events import EpochEnd, StepEnd

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Image
    from qtpy.QtWidgets import QWidget

    from napari_emcad.plugin.annotations.pairs import AnnotationLayers
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.teach.panel import TeachPanel
    from napari_emcad.plugin.teach.preview import Preview
    from napari_emcad.plugin.teach.training import TrainingRunner

_SHOW_MS = 80


class TeachController(QObject):
    """Does what the Teach panel wants, and keeps it up to date.

    Parameters
    ----------
    context
        Of the panel.
    notes, preview
        The annotations, and where their images are predicted.
    teacher
        Starts the jobs.
    panel
        What is shown.
    """

    def __init__(
        self,
        context: Context,
        notes: AnnotationLayers,
        preview: Preview,
        training_runner: TrainingRunner,
        panel: TeachPanel,
    ) -> None:
        super().__init__(panel)
        self._context, self._teacher, self._panel = context, training_runner, panel
        self._notes, self._preview = notes, preview
        self._viewer, self._session = context.viewer, context.session
        self._segment_panel = context.segment_panel
        self._key: Any = None
        self._followed: Labels | None = None
        self._step, self._refused = 0, ""
        self.show_soon = qthrottled(self.show, timeout=_SHOW_MS, parent=self)
        self._connect()

    @property
    def pair(self) -> AnnotationPair | None:
        """The pair that is painted on."""
        return self._notes.of(self._key)

    # -- annotations

    def new_annotation(self) -> None:
        """Make an annotation layer for the chosen image and paint on it."""
        image = self._panel.layer
        reading = self._reading(image)
        if image is None or reading is None:
            return
        try:
            labels = new_annotation(unwrapped(image), reading[0])
        except (ValueError, MemoryError) as error:
            said = str(error) or "There is no memory left for the annotation."
            self._context.say(said, error=True)
            return
        self._viewer.add_layer(labels)
        self._pair_up(unwrapped(image), labels, reading)
        self.paint(1)

    def use_layer(self, labels: Labels) -> None:
        """Take a labels layer as the annotation of the chosen image."""
        image = self._panel.layer
        reading = self._reading(image)
        if image is not None and reading is not None:
            self._pair_up(unwrapped(image), unwrapped(labels), reading)

    def _reading(self, image: Image | None) -> Any:
        """Return axes and channels of an image, as the Segment panel has them."""
        if image is None:
            self._context.say("Open an image first.", error=True)
            return None
        if self._segment_panel.layer is not image:
            self._segment_panel.choose_layer(image)
        if self._segment_panel.problem:
            said = f"{self._segment_panel.problem} It is chosen on the Segment tab."
            self._context.say(said, error=True)
            return None
        choices = self._segment_panel.value()
        return choices.axes, choices.channels

    def _reread(self) -> None:
        """Follow the channels that are chosen on the Segment tab."""
        panel = self._segment_panel
        image = unwrapped(panel.layer)
        if self._notes.of_image(image) is None or panel.problem:
            return
        choices = panel.value()
        self._notes.read_as(image, choices.axes, choices.channels)
        self._preview.show(self.pair)

    def _pair_up(self, image: Image, labels: Labels, reading: Any) -> None:
        pair = AnnotationPair(image, labels, *reading)
        try:
            why = self._notes.add(pair)
        except ValueError as error:
            self._context.say(str(error), error=True)
            return
        said = [f"{labels.name}: {why}" if why else "", pair.why_not_painted()]
        self._panel.show_remark(" ".join(filter(None, said)))
        self._choose(pair.key)

    def _choose(self, key: Any) -> None:
        self._key = key
        self._preview.show(self.pair)
        self._follow(None if self.pair is None else self.pair.labels)
        self.show()

    def _follow(self, labels: Labels | None) -> None:
        """Hear which label the user paints with, and whether it is shown."""
        if self._followed is not None:
            self._followed.events.selected_label.disconnect(self.show_soon)
            self._followed.events.visible.disconnect(self.show_soon)
        self._followed = labels
        if labels is not None:
            labels.events.selected_label.connect(self.show_soon)
            labels.events.visible.connect(self.show_soon)

    # -- painting

    def paint(self, k: int) -> None:
        """Pick the annotation, a class and the brush in one go; class 0 is the background."""
        pair = self.pair or self._notes.of_image(unwrapped(self._panel.layer))
        if pair is None:
            self._context.say("Make an annotation layer first.", error=True)
            return
        if why := self._notes.why_not(pair) or pair.why_not_painted():
            self._context.say(why, error=True)
            return
        rule = self._session.project.pairs[pair.key].rule
        try:
            value = rule.value_of(k)
            pair.labels.selected_label = value
        except (ValueError, OverflowError) as error:
            self._context.say(f"“{pair.labels.name}” cannot hold class {k}: {error}", error=True)
            return
        if self._key != pair.key:
            self._choose(pair.key)
        pair.labels.visible = True
        self._viewer.layers.selection.active = pair.labels
        pair.labels.mode = "paint"
        self.show()

    def correct(self) -> None:
        """Copy the prediction on screen into the annotation, where nothing is painted yet."""
        pair = self.pair
        if pair is None:
            self._context.say("There is no prediction of what is on screen.", error=True)
            return
        result, slices = self._context.results.classes_of(pair.image), self._preview.on_screen(pair)
        try:
            copied = copy_prediction(pair, result, slices, self._session.project)
        except ValueError as error:
            self._context.say(str(error), error=True)
            return
        self._context.say(
            f"{copied:,} pixels copied; Ctrl+Z takes them back."
            if copied
            else "Everything on screen is painted already."
        )

    def _prediction(self) -> Labels | None:
        """Return the layer that says what the model sees in the current image."""
        pair = self.pair
        result = None if pair is None else self._context.results.classes_of(pair.image)
        return None if result is None else result.layer

    # -- classes

    def add_class(self) -> None:
        """Add a class and paint with it."""
        project = self._session.project
        if self._try(project.add_class) and self.pair is not None:
            self.paint(len(project.classes))

    def rename(self, k: int, name: str) -> None:
        """Rename a class, or say why not."""
        self._try(lambda: self._session.project.rename_class(k, name))

    def remove(self, k: int) -> None:
        """Take a class out; whoever painted with it goes on with the next one."""
        painting = self._current_class() == k
        self._try(lambda: self._session.project.remove_class(k))
        self._teacher.forget()
        if painting:
            self.paint(min(k, len(self._session.project.classes)))

    def _try(self, change: Callable[[], object]) -> bool:
        """Change the classes, or say why not; return whether it was done."""
        said = ""
        try:
            change()
        except ValueError as error:
            said = str(error)
        if said or self._refused:
            self._context.say(said, error=bool(said))
        self._refused = said
        self.show()
        return not said

    # -- what is shown

    def toggle(self, which: str) -> None:
        """Show or hide the annotation or the prediction of the current image."""
        layer = self._prediction()
        if which == "annotation":
            layer = None if self.pair is None else self.pair.labels
        if layer is not None:
            layer.visible = not layer.visible
        self.show()

    def show(self, _: object = None) -> None:
        """Bring the panel up to date."""
        project, pair = self._session.project, self.pair
        record = project.record
        names = {each.key: each.labels.name for each in self._notes.pairs}
        self._panel.pairs.show_pairs(list(project.pairs.values()), names)
        self._panel.pairs.show_current(None if pair is None else pair.key)
        self._panel.classes.show_classes(project.classes, record.painted, record.strokes)
        self._panel.classes.show_current(self._current_class())
        prediction = self._prediction()
        self._panel.show_visible(
            None if pair is None else pair.labels.visible,
            None if prediction is None else prediction.visible,
            prediction is not None,
        )
        self._panel.versions.show_versions(self._session.versions)
        self._panel.versions.show_hint(self._headway())
        self._panel.versions.show_running(self._session.running is not None)
        self._panel.show_layers(self._usable_layers())
        training_runner = self._teacher
        self._panel.show_state(
            training_runner.why_not() or self._panel.form.problem,
            " ".join(filter(None, [training_runner.disagreement(), self._score()])),
            self._session.running is not None and not training_runner.gives_way,
            training_runner.live,
            training_runner.updating,
            training_runner.stale,
        )

    def _current_class(self) -> int:
        """Return the class that a stroke would paint; -1 for none."""
        pair = self.pair
        if pair is None or self._viewer.layers.selection.active is not pair.labels:
            return -1
        if pair.labels.mode not in ("paint", "fill", "polygon"):
            return -1
        return self._session.project.pairs[pair.key].rule.class_of(int(pair.labels.selected_label))

    def _score(self) -> str:
        project, version = self._session.project, self._session.versions.current
        if not project.record.painted:
            return ""
        if version is not None and version.score is not None:
            dice, iou = version.score.dice, version.score.iou
            return f"Dice {dice:.3f}, IoU {iou:.3f} on {version.held_out:,} held-out pixels."
        return project.why_no_score() or "Held-out strokes are scored with the next training."

    def _headway(self) -> str:
        project, versions = self._session.project, self._session.versions
        why = project.why_no_score() if project.record.painted else ""
        return progress_message(list(versions), versions.current, why)

    def _usable_layers(self) -> list[Labels]:
        used = {id(each.labels) for each in self._notes.pairs}
        return [
            each
            for each in self._viewer.layers
            if isinstance(each, Labels) and id(each) not in used and not is_prediction(each)
        ]

    def _image_chosen(self, image: Image | None) -> None:
        image = unwrapped(image)
        pair = self._notes.of_image(image)
        if image is not None and self._segment_panel.layer is not image:
            self._segment_panel.choose_layer(image)
        if pair is None:
            self._choose(None)
        elif self.pair is None or self.pair.image is not image:
            self._choose(pair.key)
        self.show_soon()

    def _active_changed(self, _: object = None) -> None:
        """Follow the user to another annotation layer."""
        active = self._viewer.layers.selection.active
        for pair in self._notes.pairs:
            if active is pair.labels and pair.key != self._key:
                self._choose(pair.key)
                self._panel.choose_layer(pair.image)
        self.show_soon()

    def _pairs_changed(self) -> None:
        if self._key is not None and self.pair is None:
            self._choose(None)
        if self._key is None:
            self._active_changed()
        self.show_soon()

    def _happened(self, event: StepEnd | EpochEnd) -> None:
        curve = self._panel.curve
        if isinstance(event, StepEnd):
            self._step += 1
            curve.add_loss(self._step, event.loss)
            curve.setVisible(True)
        elif event.dice is not None and not self._session.project.why_no_score():
            curve.add_score(self._step, event.dice)

    def _began(self, steps: int) -> None:
        """Begin a curve for a training; updates go on with theirs."""
        if steps or not self._teacher.updating or self._step == 0:
            self._panel.curve.clear(steps)
            self._step = 0

    # -- life and death

    def _connect(self) -> None:
        panel, training_runner, project = self._panel, self._teacher, self._session.project
        panel.annotation_wanted.connect(self.new_annotation)
        panel.layer_wanted.connect(self.use_layer)
        panel.correction_wanted.connect(self.correct)
        panel.visibility_wanted.connect(self.toggle)
        panel.train_wanted.connect(training_runner.train)
        panel.update_wanted.connect(training_runner.update_now)
        panel.live_wanted.connect(training_runner.set_live)
        panel.image_chosen.connect(self._image_chosen)
        panel.pairs.ticked.connect(lambda key, on: project.change_pair(key, ticked=on))
        panel.pairs.meaning_chosen.connect(self._meaning_chosen)
        panel.pairs.chosen.connect(self._pair_chosen)
        panel.classes.class_wanted.connect(self.paint)
        panel.classes.add_wanted.connect(self.add_class)
        panel.classes.remove_wanted.connect(self.remove)
        panel.classes.renamed.connect(self.rename)
        panel.classes.recolored.connect(project.recolor_class)
        panel.versions.wanted.connect(training_runner.go_to)
        panel.versions.compare_wanted.connect(self._preview.compare)
        panel.form.changed.connect(self.show_soon)
        self._segment_panel.value_changed.connect(self._reread)
        training_runner.changed.connect(self.show_soon)
        training_runner.began.connect(self._began)
        training_runner.happened.connect(self._happened)
        for signal in self._signals():
            signal.connect(self.show_soon)
        project.pairs_changed.connect(self._pairs_changed)
        self._viewer.layers.selection.events.active.connect(self._active_changed)

    def _signals(self) -> tuple[Any, ...]:
        session = self._session
        return (
            session.project.classes_changed,
            session.project.record_changed,
            session.versions.changed,
            session.running_changed,
        )

    def _meaning_chosen(self, key: Any, meaning: Any) -> None:
        pair = self._notes.of(key)
        if pair is None:
            return
        project = self._session.project
        rule, classes = project.pairs[key].rule, len(project.classes)
        anew = read_anew(pair.labels, rule, meaning, classes)
        project.change_pair(key, rule=anew.rule)
        self._panel.show_remark(f"{pair.labels.name}: {anew.why}" if anew.why else "")
        self._teacher.look()

    def _pair_chosen(self, key: Any) -> None:
        pair = self._notes.of(key)
        if pair is not None:
            self._choose(key)
            self._panel.choose_layer(pair.image)
            self._viewer.layers.selection.active = pair.labels

    def bind(self, owner: QWidget) -> None:
        """Let a widget's shortcuts do what the buttons do."""
        keys: dict[str, Callable[[], None]] = {
            "Alt+A": partial(self.toggle, "annotation"),
            "Alt+S": partial(self.toggle, "prediction"),
            "Alt+U": self._teacher.update_now,
            "Alt+T": self._teacher.train,
        }
        keys |= {f"Alt+{k}": partial(self._paint_if_there, k) for k in range(10)}
        for key, work in keys.items():
            QShortcut(QKeySequence(key), owner).activated.connect(work)

    def _paint_if_there(self, k: int) -> None:
        if k <= len(self._session.project.classes):
            self.paint(k)

    def release(self) -> None:
        """Let go of everything; it is not used again."""
        for signal in self._signals():
            signal.disconnect(self.show_soon)
        self._session.project.pairs_changed.disconnect(self._pairs_changed)
        self._viewer.layers.selection.events.active.disconnect(self._active_changed)
        self._follow(None)
