"""Teaches the open model with what is painted: looks at paint, trains, updates live, goes back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_emcad.inference.events import Region
from napari_emcad.interactive.annotated_patches import disagreement
from napari_emcad.interactive.jobs import Plan, Unfinished, train_job, update_job
from napari_emcad.interactive.plane_cache import PlaneCache
from napari_emcad.io.checkpoints.heads import with_class_labels
from napari_emcad.plugin.annotations.pairs import follow_image
from napari_emcad.plugin.annotations.scanner import AnnotationScanner
from napari_emcad.plugin.teach.preview import Refreshing, put_away
from napari_emcad.training.events import EpochEnd, HeldOut, StepEnd

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from napari_emcad.annotation.record import Record
    from napari_emcad.interactive.session import Ticket
    from napari_emcad.interactive.task import TrainChoices
    from napari_emcad.interactive.versions import Version
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.plugin.annotations.pairs import AnnotationLayers
    from napari_emcad.plugin.layers.results import Result
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.runner.thread import Outcome
    from napari_emcad.plugin.teach.preview import Preview
    from napari_emcad.training.config import TrainingConfig

_LIVE_S, _NOW_S = 0.7, 4.0
"""How long an update learns: after a stroke, and when it is asked for."""


class TrainingRunner(QObject):
    """Starts what teaches, one job at a time, and delivers to the session.

    Parameters
    ----------
    context
        Of the panel.
    notes, preview
        The annotations, and where their images are predicted.
    choices
        Returns what the form says.

    Signals
    -------
    began
        A training or update begins, of so many steps; 0 if their number is not known.
    happened
        A `StepEnd` or `EpochEnd`.
    changed
        What is shown of it may have changed.
    unfinished
        The model of a training that still runs, now and then.
    """

    began = Signal(int)
    happened = Signal(object)
    changed = Signal()
    unfinished = Signal(object)

    def __init__(
        self,
        context: Context,
        notes: AnnotationLayers,
        preview: Preview,
        choices: Callable[[], TrainChoices],
    ) -> None:
        super().__init__(notes)
        self._context, self._session = context, context.session
        self._notes, self._preview, self._choices = notes, preview, choices
        self._watch = AnnotationScanner(self._session, notes)
        self._watch.looked.connect(self._looked)
        self._cache = PlaneCache()
        self._tutor: Any = None
        self._taught: Checkpoint | None = None
        self._learned_with: TrainingConfig | None = None
        self._live, self._stale = False, False
        self._next: Callable[[], None] | None = None
        self._compared: tuple[Record, frozenset[Hashable]] | None = None
        self._differ = ""
        self._session.running_changed.connect(self._freed)

    # -- looking at paint

    def look(self) -> None:
        """See what is painted now, and go on with what waits for that."""
        self._watch.look()

    def _looked(self, new: bool) -> None:
        self._stale = self._stale or new
        self._go_on()
        self.changed.emit()

    def _go_on(self) -> None:
        """Begin what waited for a look and for what gives way to it, or learn what is new."""
        if self._watch.looking or self.gives_way:
            return  # its end comes here again
        begin, self._next = self._next, None
        if begin is not None:
            begin()
        elif self._live:
            self._update_live()

    def _freed(self, ticket: Ticket | None) -> None:
        """Go on once whoever ran has said what came of it, unless something else begins first."""
        if ticket is None and (self._live or self._next is not None):
            QTimer.singleShot(0, self._go_on)

    # -- what may be done

    def why_not(self) -> str:
        """Return why nothing can be taught now, or ""."""
        if self._session.checkpoint is None:
            return "Open a model first."
        misfit = self._notes.why_not_ticked()
        return misfit or self._watch.problem or self._session.project.why_not_train()

    @property
    def live(self) -> bool:
        """Whether each stroke is learned at once."""
        return self._live

    @property
    def updating(self) -> bool:
        """Whether an update runs."""
        running = self._session.running
        return running is not None and isinstance(running.snapshot, _Updating)

    @property
    def gives_way(self) -> bool:
        """Whether what runs ends at once for a training: an update, or a prediction after one."""
        running = self._session.running
        return running is not None and isinstance(running.snapshot, (_Updating, Refreshing))

    @property
    def stale(self) -> bool:
        """Whether something was painted that the model has not learned."""
        return self._stale

    def disagreement(self) -> str:
        """Return a sentence on what two annotations of one image paint differently, or ""."""
        checkpoint, project = self._session.checkpoint, self._session.project
        ticked = frozenset(key for key, pair in project.pairs.items() if pair.ticked)
        if checkpoint is None or self._compared == (project.record, ticked):
            return self._differ
        self._compared = project.record, ticked
        self._differ = disagreement(self._notes.sources(checkpoint), project.record)
        return self._differ

    # -- training

    def train(self) -> None:
        """Train as the form says, on what is painted by then."""
        self._when_free(self._train)

    def update_now(self) -> None:
        """Learn for some seconds, whether Live mode is on or not."""
        self._when_free(lambda: self._update(_NOW_S, quiet=False))

    def set_live(self, live: bool) -> None:
        """Learn each stroke at once, or no longer; the tutor leaves with it."""
        self._live = live
        if live:
            self.look()
        else:
            self._tutor = None
        self.changed.emit()

    def forget(self) -> None:
        """Let the tutor go, because its settings changed."""
        self._tutor = None

    def _when_free(self, begin: Callable[[], None]) -> None:
        """Begin after a look, and after what gives way; say what else has to be waited for."""
        running = self._session.running
        if running is not None and not self.gives_way:
            self._context.say(_wait_for(running), error=True)
            return
        if running is not None:
            self._context.job_bar.stop()
        self._next = begin
        self.look()

    def _train(self) -> None:
        plan = self._plan()
        if plan is None:
            return
        shown = self._preview.begin(plan.checkpoint)
        cache, screen = self._cache, self._preview.screen
        self._context.run(
            "Training",
            lambda stop: train_job(plan, cache, screen, stop),
            lambda outcome: self._trained(plan, shown, outcome),
            lambda event: self._tell(shown, event),
            shown,
            cancellable=True,
        )
        self.began.emit(plan.steps)
        self._preview.say_unseen(shown)

    def _trained(self, plan: Plan, shown: Result | None, outcome: Outcome) -> None:
        put_away(shown, outcome)
        if outcome.error:
            return
        if outcome.cancelled:
            self._context.say("Cancelled; the model is as it was.")
            self._preview.refresh(quiet=True)
            return
        taught = outcome.result.taught
        held_out = plan.held_out
        epochs = [each for each in taught.trained.epochs if each.dice is not None]
        best = max(epochs, key=lambda each: each.dice, default=None)
        self._tutor = None
        self._session.learn(
            "trained",
            taught.checkpoint,
            plan.strokes,
            _score(best) if held_out else None,
            held_out,
            outcome.result.doubt,
            outcome.result.came_of,
        )
        self._context.say(_told(taught.trained, best, held_out, outcome.seconds))
        self._preview.refresh(quiet=True)

    # -- updates

    def _update_live(self) -> None:
        free = self._session.running is None and not self._context.job_bar.running
        if self._live and self._stale and free and not self.why_not():
            self._update(_LIVE_S, quiet=True)

    def _update(self, seconds: float, quiet: bool) -> None:
        plan = self._plan()
        if plan is None:
            return
        if self._taught is not plan.checkpoint or self._learned_with != plan.choices.config:
            self._tutor = None  # another model, other classes or other settings
        shown = self._preview.begin(plan.checkpoint)
        tutor, cache, screen = self._tutor, self._cache, self._preview.screen
        self._stale = False
        self._context.run(
            "Updating",
            lambda stop: update_job(tutor, plan, cache, screen, seconds, stop),
            lambda outcome: self._updated(plan, shown, outcome),
            lambda event: self._tell(shown, event),
            _Updating(shown),
            quiet=quiet,
        )
        self.began.emit(0)
        if not quiet:
            self._preview.say_unseen(shown)
        self.changed.emit()

    def _updated(self, plan: Plan, shown: Result | None, outcome: Outcome) -> None:
        put_away(shown, outcome)
        if outcome.error:
            self._tutor, self._live = None, False
            self._context.say(f"{outcome.error} Live mode is off.", error=True)
            self.changed.emit()
            return
        self._tutor, update = outcome.result
        held_out = plan.held_out if update.score is not None else 0
        self._taught, self._learned_with = update.checkpoint, plan.choices.config
        self._session.learn(
            "live",
            update.checkpoint,
            plan.strokes,
            update.score if held_out else None,
            held_out,
            came_of=plan.opened or plan.checkpoint,
        )
        self.changed.emit()

    # -- versions

    def go_to(self, version: Version) -> None:
        """Use another version, and show what it says of what is on screen."""
        try:
            self._session.go_to(version)
        except ValueError as error:
            self._context.say(str(error), error=True)
            return
        self._tutor = None
        self._preview.refresh(quiet=True)

    # -- in common

    def _plan(self) -> Plan | None:
        """Return what is to be taught, or say why nothing is."""
        checkpoint, reason = self._session.checkpoint, self.why_not()
        if not reason and self._session.running is not None:
            reason = _wait_for(self._session.running)
        if reason or checkpoint is None:
            self._context.say(reason, error=True)
            return None
        try:
            choices = self._choices()
            adapted = self._adapted(checkpoint)
            opened = self._opened()
        except ValueError as error:
            self._context.say(str(error), error=True)
            return None
        for pair in self._notes.pairs:
            if not self._notes.why_not(pair):
                follow_image(pair)
        sources = self._notes.sources(adapted)
        if not sources:
            said = (
                "The channels of no ticked image suit this model; choose them on the Segment tab."
            )
            self._context.say(said, error=True)
            return None
        record = self._session.project.teach()
        return Plan(adapted, sources, record, choices, self._context.device, opened)

    def _opened(self) -> Checkpoint | None:
        """Return what the model in use came of, for the classes that are painted."""
        current = self._session.versions.current
        came_of = None if current is None else current.came_of
        return None if came_of is None else self._adapted(came_of)

    def _adapted(self, checkpoint: Checkpoint) -> Checkpoint:
        """Return a checkpoint for the classes that are painted; a renamed one keeps its head."""
        project = self._session.project
        renamed = replace(checkpoint, classes=project.called_now(checkpoint.classes))
        same = renamed.classes == checkpoint.classes
        return with_class_labels(checkpoint if same else renamed, project.classes)

    def _tell(self, shown: Result | None, event: Any) -> None:
        if isinstance(event, Region) and shown is not None:
            shown.fill(event)
        elif isinstance(event, (StepEnd, EpochEnd)):
            self.happened.emit(event)
        elif isinstance(event, Unfinished):
            self.unfinished.emit(event.checkpoint)

    def release(self) -> None:
        """Let go of everything; it is not used again."""
        self._tutor, self._live, self._next = None, False, None
        self._watch.release()
        self._session.running_changed.disconnect(self._freed)


@dataclass(frozen=True, slots=True, eq=False)
class _Updating:
    """What an update was begun on."""

    result: Result | None

    def release(self) -> None:
        if self.result is not None:
            self.result.release()


def _score(best: EpochEnd | None) -> HeldOut | None:
    return None if best is None or best.dice is None else HeldOut(best.dice, best.iou or 0.0)


def _wait_for(ticket: Ticket) -> str:
    return f"{ticket.verb}: wait until it has ended, or stop it."


def _told(trained: Any, best: EpochEnd | None, held_out: int, seconds: float) -> str:
    said = {"finished": "Trained", "stopped": "Stopped", "diverged": "Diverged"}[trained.ending]
    scored = ""
    if best is not None and held_out:
        scored = f" Dice {best.dice:.3f} on {held_out:,} held-out pixels."
    return f"{said} after {seconds:.0f} s.{scored} {trained.remark}".strip()
