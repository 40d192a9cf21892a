"""The session of one viewer: open checkpoint, versions, annotations and the running job; no Qt.

A `Session` is changed on the main thread only and starts nothing by itself. A job needs a `Ticket`,
and its events count only while this ticket is the current one, so late events of an abandoned job
change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_emcad.interactive.class_renames import relabel
from napari_emcad.interactive.project import AnnotationProject
from napari_emcad.interactive.review_queue import ReviewQueue
from napari_emcad.interactive.versions import Versions
from napari_emcad.io.checkpoints.sniff import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_emcad.interactive.calibrate import Calibration
    from napari_emcad.interactive.versions import How, Version
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.io.checkpoints.classes import ClassLabel
    from napari_emcad.io.checkpoints.instant_model import InstantModel
    from napari_emcad.training.events import HeldOut


@dataclass(frozen=True, slots=True, eq=False)
class Ticket:
    """A job that was started.

    Attributes
    ----------
    number
        Number of the job; no two jobs share one.
    verb
        Description for the user: "Segmenting nuclei".
    preemptible
        Whether the job may be stopped at once for a job that the user asks for.
    """

    number: int
    verb: str
    preemptible: bool = False


class Session:
    """State of one viewer's panel.

    Attributes
    ----------
    versions
        Versions of the model.
    project
        Classes and annotations.
    review
        Images to review one after another.
    steps_left
        Steps of a training that was interrupted by closing the panel; 0 if there is none.
    checkpoint_changed
        Emitted with the open checkpoint.
    calibration_changed
        Emitted with a new calibration.
    instant_changed
        Emitted with a new instant model.
    running_changed
        Emitted with the ticket of the running job, or None.
    job_event
        Emitted with (ticket, event) for each event of the running job.
    """

    checkpoint_changed = Signal(object)
    calibration_changed = Signal(object)
    instant_changed = Signal(object)
    running_changed = Signal(object)
    job_event = Signal(object, object)

    def __init__(self) -> None:
        self._numbers = count(1)
        self._checkpoint: Checkpoint | None = None
        self._unmodified: Checkpoint | None = None
        self._overrides: dict[str, Any] = {}
        self._running: Ticket | None = None
        self._calibration: Calibration | None = None
        self._instant: InstantModel | None = None
        self.versions, self.project = Versions(), AnnotationProject()
        self.review, self.steps_left = ReviewQueue(), 0
        self.project.classes_changed.connect(self._classes_changed)

    # -- checkpoint

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The open checkpoint, with the details that the user filled in."""
        return self._checkpoint

    def open(self, checkpoint: Checkpoint) -> tuple[ClassLabel, ...]:
        """Use another checkpoint; a running job keeps its own.

        Returns
        -------
        tuple
            Its classes that were added to annotated ones; see `AnnotationProject.adopt_classes`.
        """
        if checkpoint is self._checkpoint:
            return ()
        self.versions.add("opened", checkpoint)
        self._checkpoint = None
        added = self.project.adopt_classes(checkpoint.classes)
        self._use(checkpoint)
        return added

    def add_version(
        self,
        how: How,
        checkpoint: Checkpoint,
        strokes: int = 0,
        score: HeldOut | None = None,
        held_out: int = 0,
        uncertainty: float | None = None,
        base: Checkpoint | None = None,
    ) -> None:
        """Use a trained checkpoint as a new version; see `Version` for the parameters."""
        self.versions.add(how, checkpoint, strokes, score, held_out, uncertainty, base)
        self._use(checkpoint)

    def go_to(self, version: Version) -> None:
        """Use another version.

        Raises
        ------
        ValueError
            If the version was dropped.
        """
        self.versions.go_to(version)
        self._use(version.checkpoint)

    def _use(self, checkpoint: Checkpoint) -> None:
        self._unmodified, self._overrides = checkpoint, {}
        self._set_checkpoint(relabel(self.project, checkpoint))

    def override(self, **overrides: Any) -> None:
        """Fill in details that the checkpoint's file lacks, in addition to those filled in before.

        Class names apply to the project as well, and the other way round.

        Raises
        ------
        CheckpointError
            If a detail does not fit; then nothing changes.
        """
        if self._unmodified is not None:
            all_overrides = self._overrides | overrides
            changed = self._unmodified.override(**all_overrides)
            if "classes" not in overrides:
                changed = relabel(self.project, changed)
            elif self._checkpoint is not None:
                changed = _with_colors_of(self._checkpoint, changed)
            self._change(changed)
            self._overrides = all_overrides

    def revert(self) -> None:
        """Remove all details that were filled in, and give classes the names of the file.

        Raises
        ------
        CheckpointError
            If two annotated classes would get one name; then nothing changes.
        """
        if self._unmodified is not None and self.overridden:
            self._change(self._unmodified)
            self._overrides = {}

    @property
    def overrides(self) -> Mapping[str, Any]:
        """Details that were filled in, as for `Checkpoint.override`."""
        return dict(self._overrides)

    @property
    def overridden(self) -> bool:
        """Whether details were filled in, or classes renamed."""
        return self._checkpoint is not self._unmodified

    def _change(self, checkpoint: Checkpoint) -> None:
        """Use the open checkpoint with other details."""
        before, self._checkpoint = self._checkpoint, checkpoint
        try:
            if before is not None:
                self.project.follow_labels(before.classes, checkpoint.classes)
        except ValueError as error:
            self._checkpoint = before
            raise CheckpointError(str(error)) from None
        self._set_checkpoint(relabel(self.project, checkpoint))

    def _classes_changed(self) -> None:
        """Show classes that were renamed in the project in the open checkpoint."""
        before = self._checkpoint
        if before is None or (renamed := relabel(self.project, before)) is before:
            return
        calibration = self._calibration
        if calibration is not None and calibration.checkpoint is before:
            self._calibration = replace(calibration, checkpoint=renamed)
        self._set_checkpoint(renamed)

    def _set_checkpoint(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self.checkpoint_changed.emit(checkpoint)

    # -- calibration

    @property
    def calibration(self) -> Calibration | None:
        """The last calibration, of whichever checkpoint."""
        return self._calibration

    @property
    def temperature(self) -> float:
        """Temperature of the open checkpoint's uncertainty maps; 1 unless it was calibrated."""
        calibration = self._calibration
        if calibration is None or calibration.checkpoint is not self._checkpoint:
            return 1.0
        return calibration.temperature

    def set_calibration(self, calibration: Calibration) -> None:
        """Keep a calibration; it applies while its checkpoint is the open one."""
        self._calibration = calibration
        self.calibration_changed.emit(calibration)

    # -- instant model

    @property
    def instant(self) -> InstantModel | None:
        """The last instant model, fitted to strokes or opened from a file."""
        return self._instant

    def set_instant(self, model: InstantModel) -> None:
        """Keep an instant model to segment with; the open checkpoint stays."""
        self._instant = model
        self.instant_changed.emit(model)

    # -- jobs

    @property
    def running(self) -> Ticket | None:
        """Ticket of the running job."""
        return self._running

    def why_not_run(self) -> str:
        """Return the reason why no job may start now, or ""."""
        if self._running is not None:
            return f"{self._running.verb} …"
        return "" if self._checkpoint is not None else "Open a model first."

    def begin(self, verb: str, preemptible: bool = False) -> Ticket:
        """Return the ticket of a job that starts now.

        Raises
        ------
        RuntimeError
            If another job is running.
        """
        if self._running is not None:
            raise RuntimeError(wait_message(self._running))
        self._running = Ticket(next(self._numbers), verb, preemptible)
        self.running_changed.emit(self._running)
        return self._running

    def accept(self, ticket: Ticket, event: Any) -> bool:
        """Emit `job_event` if the ticket is the current one; return whether it is."""
        if ticket is not self._running:
            return False
        self.job_event.emit(ticket, event)
        return True

    def end(self, ticket: Ticket) -> None:
        """Mark a job as ended; a ticket that is not the current one changes nothing."""
        if ticket is self._running:
            self._running = None
            self.running_changed.emit(None)


def _with_colors_of(before: Checkpoint, checkpoint: Checkpoint) -> Checkpoint:
    """Return a checkpoint whose classes keep their colors although their names have changed."""
    pairs = zip(before.classes, checkpoint.classes, strict=True)
    return replace(checkpoint, classes=tuple(replace(new, color=old.color) for old, new in pairs))


def wait_message(ticket: Ticket) -> str:
    """Return the advice to wait for a job, or to stop it."""
    return f"{ticket.verb}: wait until it has ended, or stop it."
