"""Teaches the open model with what is painted: looks at paint, trains, updates live, goes back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_emcad.inference.events import InferenceSettings, Region
from napari_emcad.io.classes import with_labels
from napari_emcad.jobs import segment_job
from napari_emcad.painting import PlaneCache, disagreement
from napari_emcad.plugin.job_bar import JobThread
from napari_emcad.plugin.notes import Notes, follow_image
from napari_emcad.plugin.preview import Preview
from napari_emcad.plugin.teach_jobs import Plan, Unfinished, look_job, train_job, update_job
from napari_emcad.training.events import EpochEnd, HeldOut, StepEnd

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from napari.components import ViewerModel

    from napari_emcad.imaging.strokes import Record
    from napari_emcad.io.checkpoint import Checkpoint
    from napari_emcad.plugin.job_bar import JobBar, Outcome
    from napari_emcad.plugin.notes import LayerPair
    from napari_emcad.plugin.results import Result, Results
    from napari_emcad.plugin.train_form import TrainChoices
    from napari_emcad.session import Session, Ticket
    from napari_emcad.training.config import TrainingConfig
    from napari_emcad.versions import Version

_LIVE_S, _NOW_S = 0.7, 4.0
"""How long an update learns: after a stroke, and when it is asked for."""


class Teacher(QObject):
    """Starts what teaches, one job at a time, and delivers to the session.

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
        viewer: ViewerModel,
        session: Session,
        results: Results,
        job_bar: JobBar,
        choices: Callable[[], TrainChoices],
        device: Callable[[], str],
        kept: dict[Hashable, LayerPair],
    ) -> None:
        super().__init__(job_bar)
        self._session = session
        self._job_bar, self._choices, self._device = job_bar, choices, device
        self.notes = Notes(viewer, session.workbook, job_bar, kept)
        self.problem = ""
        self.preview = Preview(viewer, session, results, self.notes, device, job_bar)
        self._cache = PlaneCache()
        self._tutor: Any = None
        self._taught: Checkpoint | None = None
        self._learnt_with: TrainingConfig | None = None
        self._look: JobThread | None = None
        self._look_again, self._live, self._stale = False, False, False
        self._after_look: Callable[[], None] | None = None
        self._compared: tuple[Record, frozenset[Hashable]] | None = None
        self._differ = ""
        self.notes.painted.connect(self.look)
        session.running_changed.connect(self._freed)

    # -- looking at paint

    def look(self, then: Callable[[], None] | None = None) -> None:
        """See what is painted now; `then` is called once that is known."""
        self._after_look = then or self._after_look
        if self._look is not None:
            self._look_again = True
            return
        checkpoint = self._session.checkpoint
        if checkpoint is None:
            self._go_on()
            return
        workbook = self._session.workbook
        sources, record = self.notes.to_look_at(checkpoint), workbook.record
        classes = len(workbook.classes)
        self._look = JobThread(lambda _: look_job(sources, record, classes))
        self._look.ended.connect(self._looked)
        self._look.start()

    def _looked(self, outcome: Outcome) -> None:
        self._look = None
        if self._look_again:
            self._look_again = False
            self.look()
            return
        self.problem = outcome.error
        fresh = outcome.result
        if fresh is not None:
            self._session.workbook.take(fresh)
            self._stale = True
        self._go_on()
        self.changed.emit()

    def _go_on(self) -> None:
        """Begin what waited for a look and for what gives way to it, or learn what is new."""
        if self._look is not None or self.gives_way:
            return  # its end comes here again
        then, self._after_look = self._after_look, None
        if then is not None:
            then()
        elif self._live:
            self._update_live()

    # -- what may be done

    def why_not(self) -> str:
        """Return why nothing can be taught now, or ""."""
        if self._session.checkpoint is None:
            return "Open a model first."
        misfit = self.notes.why_not_ticked()
        return misfit or self.problem or self._session.workbook.why_not_train()

    @property
    def live(self) -> bool:
        """Whether each stroke is learnt at once."""
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
        return running is not None and isinstance(running.snapshot, (_Updating, _Refreshing))

    @property
    def stale(self) -> bool:
        """Whether something was painted that the model has not learnt."""
        return self._stale

    def disagreement(self) -> str:
        """Return a sentence on what two annotations of one image paint differently, or ""."""
        checkpoint, workbook = self._session.checkpoint, self._session.workbook
        ticked = frozenset(key for key, pair in workbook.pairs.items() if pair.ticked)
        if checkpoint is None or self._compared == (workbook.record, ticked):
            return self._differ
        self._compared = workbook.record, ticked
        self._differ = disagreement(self.notes.sources(checkpoint), workbook.record)
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
            self._job_bar.say(_wait_for(running), error=True)
            return
        if running is not None:
            self._job_bar.stop()
        self.look(begin)

    def _train(self) -> None:
        plan = self._plan()
        if plan is None:
            return
        result = self.preview.begin(plan.checkpoint)
        ticket = self._session.begin("Training", result)
        self.began.emit(plan.steps)
        cache, screen = self._cache, self.preview.screen
        self._job_bar.start(
            ticket.verb,
            lambda stop: train_job(plan, cache, screen, stop),
            lambda event: self._tell(ticket, result, event),
            lambda outcome: self._trained(ticket, plan, result, outcome),
            cancellable=True,
        )
        self._say_unseen(result)

    def _trained(self, ticket: Ticket, plan: Plan, result: Result | None, outcome: Outcome) -> None:
        self._finish(ticket, result, bool(outcome.error))
        if outcome.error:
            self._job_bar.say(outcome.error, error=True)
            return
        if outcome.cancelled:
            self._job_bar.say("Cancelled; the model is as it was.")
            self.refresh(quiet=True)
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
        self._job_bar.say(_told(taught.trained, best, held_out, outcome.seconds))
        self.refresh(quiet=True)

    # -- updates

    def _update_live(self) -> None:
        free = self._session.running is None and not self._job_bar.running and self._look is None
        if self._live and self._stale and free and not self.why_not():
            self._update(_LIVE_S, quiet=True)

    def _freed(self, ticket: Ticket | None) -> None:
        """Learn what was painted while another job ran, unless something else begins first."""
        if ticket is None and self._live:
            QTimer.singleShot(0, self._update_live)

    def _update(self, seconds: float, quiet: bool) -> None:
        plan = self._plan()
        if plan is None:
            return
        if self._taught is not plan.checkpoint or self._learnt_with != plan.choices.config:
            self._tutor = None  # another model, other classes or other settings
        result = self.preview.begin(plan.checkpoint)
        ticket = self._session.begin("Updating", _Updating(result))
        self._stale = False
        self.began.emit(0)
        tutor, cache, screen = self._tutor, self._cache, self.preview.screen
        self._job_bar.start(
            ticket.verb,
            lambda stop: update_job(tutor, plan, cache, screen, seconds, stop),
            lambda event: self._tell(ticket, result, event),
            lambda outcome: self._updated(ticket, plan, result, outcome),
            quiet=quiet,
        )
        if not quiet:
            self._say_unseen(result)
        self.changed.emit()

    def _updated(self, ticket: Ticket, plan: Plan, result: Result | None, outcome: Outcome) -> None:
        self._finish(ticket, result, bool(outcome.error))
        if outcome.error:
            self._tutor, self._live = None, False
            self._job_bar.say(f"{outcome.error} Live mode is off.", error=True)
            self._go_on()
            self.changed.emit()
            return
        self._tutor, update = outcome.result
        held_out = plan.held_out if update.score is not None else 0
        self._taught, self._learnt_with = update.checkpoint, plan.choices.config
        self._session.learn(
            "live",
            update.checkpoint,
            plan.strokes,
            update.score if held_out else None,
            held_out,
            came_of=plan.opened or plan.checkpoint,
        )
        self.changed.emit()
        self._go_on()

    # -- versions

    def go_to(self, version: Version) -> None:
        """Use another version, and show what it says of what is on screen."""
        try:
            self._session.go_to(version)
        except ValueError as error:
            self._job_bar.say(str(error), error=True)
            return
        self._tutor = None
        self.refresh(quiet=True)

    def compare(self, version: Version) -> None:
        """Show what a version says of what is on screen, in a layer of its own."""
        self._predict(version.checkpoint, anew=True, quiet=False, name=f"version {version.number}")

    def refresh(self, quiet: bool = False) -> None:
        """Predict what is on screen with the model as it is."""
        if self._session.checkpoint is not None and self._session.running is None:
            self._predict(self._session.checkpoint, anew=False, quiet=quiet)

    def _predict(self, checkpoint: Checkpoint, anew: bool, quiet: bool, name: str = "") -> None:
        result = self.preview.begin(checkpoint, anew)
        slices = self.preview.screen.slices
        if result is None or slices is None:
            return
        if name:
            result.layer.name = f"{result.target.name} {name}"
        ticket = self._session.begin("Predicting", result if anew else _Refreshing(result))
        settings = InferenceSettings(device=self._device())
        self._job_bar.start(
            ticket.verb,
            lambda stop: segment_job(slices, checkpoint, settings, stop),
            lambda event: self._tell(ticket, result, event),
            lambda outcome: self._predicted(ticket, result, outcome),
            quiet=quiet,
        )

    def _predicted(self, ticket: Ticket, result: Result, outcome: Outcome) -> None:
        self._finish(ticket, result, bool(outcome.error))
        if outcome.error:
            self._job_bar.say(outcome.error, error=True)
        self._go_on()

    # -- in common

    def _say_unseen(self, result: Result | None) -> None:
        if result is None and self.preview.unseen:
            self._job_bar.say(self.preview.unseen)

    def _plan(self) -> Plan | None:
        """Return what is to be taught, or say why nothing is."""
        checkpoint, reason = self._session.checkpoint, self.why_not()
        if not reason and self._session.running is not None:
            reason = _wait_for(self._session.running)
        if reason or checkpoint is None:
            self._job_bar.say(reason, error=True)
            return None
        try:
            choices = self._choices()
            adapted = self._adapted(checkpoint)
            opened = self._opened()
        except ValueError as error:
            self._job_bar.say(str(error), error=True)
            return None
        for pair in self.notes.pairs:
            if not self.notes.why_not(pair):
                follow_image(pair)
        sources = self.notes.sources(adapted)
        if not sources:
            said = (
                "The channels of no ticked image suit this model; choose them on the Segment tab."
            )
            self._job_bar.say(said, error=True)
            return None
        record = self._session.workbook.teach()
        return Plan(adapted, sources, record, choices, self._device(), opened)

    def _opened(self) -> Checkpoint | None:
        """Return what the model in use came of, for the classes that are painted."""
        current = self._session.versions.current
        came_of = None if current is None else current.came_of
        return None if came_of is None else self._adapted(came_of)

    def _adapted(self, checkpoint: Checkpoint) -> Checkpoint:
        """Return a checkpoint for the classes that are painted; a renamed one keeps its head."""
        workbook = self._session.workbook
        renamed = replace(checkpoint, classes=workbook.called_now(checkpoint.classes))
        same = renamed.classes == checkpoint.classes
        return with_labels(checkpoint if same else renamed, workbook.classes)

    def _tell(self, ticket: Ticket, result: Result | None, event: Any) -> None:
        if not self._session.accept(ticket, event):
            return
        if isinstance(event, Region) and result is not None:
            result.fill(event)
        elif isinstance(event, (StepEnd, EpochEnd)):
            self.happened.emit(event)
        elif isinstance(event, Unfinished):
            self.unfinished.emit(event.checkpoint)

    def _finish(self, ticket: Ticket, result: Result | None, failed: bool) -> None:
        if result is not None:
            result.release() if failed else result.keep()
        self._session.end(ticket)

    def release(self) -> None:
        """Let go of everything; it is not used again."""
        if self._look is not None:
            self._look.give_up()
        self._tutor, self._live = None, False
        self.notes.painted.disconnect(self.look)
        self._session.running_changed.disconnect(self._freed)
        self.preview.release()
        self.notes.release()


@dataclass(frozen=True, slots=True, eq=False)
class _Refreshing:
    """What a prediction was begun on that nobody asked for."""

    result: Result

    def release(self) -> None:
        self.result.release()


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
