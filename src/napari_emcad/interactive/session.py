"""What is open now, what may run, what came of it; Qt-free, evented.

A Session changes on the main thread only and starts nothing by itself. Whoever starts a job asks
for a `Ticket` first; what the job says counts only as long as its ticket does, so the late answer
of a job that was given up reaches nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_emcad.interactive.project import AnnotationProject
from napari_emcad.interactive.versions import Versions

if TYPE_CHECKING:
    from napari_emcad.interactive.calibrate import Calibration
    from napari_emcad.interactive.versions import How, Version
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.training.events import HeldOut


@dataclass(frozen=True, slots=True, eq=False)
class Ticket:
    """A job that was begun.

    Attributes
    ----------
    number
        Counted up; no two jobs share one.
    verb
        What it does, for people: "Segmenting nuclei".
    snapshot
        What it was begun on; results belong to this, whatever the user does meanwhile.
    """

    number: int
    verb: str
    snapshot: Any = None


class Session:
    """The state of one viewer's panels.

    Attributes
    ----------
    versions
        The models of this sitting.
    workbook
        What is taught.
    checkpoint_changed
        Emitted with the checkpoint that is open now.
    calibration_changed
        Emitted with a new calibration.
    running_changed
        Emitted with the ticket of the job that runs now, or None.
    arrived
        Emitted with (ticket, event) for each event that counts.
    """

    checkpoint_changed = Signal(object)
    calibration_changed = Signal(object)
    running_changed = Signal(object)
    arrived = Signal(object, object)

    def __init__(self) -> None:
        self._numbers = count(1)
        self._checkpoint: Checkpoint | None = None
        self._as_read: Checkpoint | None = None
        self._overrides: dict[str, Any] = {}
        self._running: Ticket | None = None
        self._calibration: Calibration | None = None
        self.versions, self.project = Versions(), AnnotationProject()

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The open checkpoint."""
        return self._checkpoint

    @property
    def running(self) -> Ticket | None:
        """The job that runs now."""
        return self._running

    def open(self, checkpoint: Checkpoint) -> None:
        """Make this the checkpoint that the next job uses; a running one keeps its own."""
        if checkpoint is not self._checkpoint:
            self.versions.add("opened", checkpoint)
            self.project.adopt(checkpoint.classes)
            self._use(checkpoint)

    def learn(
        self,
        how: How,
        checkpoint: Checkpoint,
        strokes: int = 0,
        score: HeldOut | None = None,
        held_out: int = 0,
        doubt: float | None = None,
        came_of: Checkpoint | None = None,
    ) -> None:
        """Use what a training made, as a new version; see `Version` for what is said of it."""
        self.versions.add(how, checkpoint, strokes, score, held_out, doubt, came_of)
        self._use(checkpoint)

    def go_to(self, version: Version) -> None:
        """Use another version of this sitting.

        Raises
        ------
        ValueError
            If it was let go.
        """
        self.versions.go_to(version)
        self._use(version.checkpoint)

    def _use(self, checkpoint: Checkpoint) -> None:
        self._as_read, self._overrides = checkpoint, {}
        self._show(checkpoint)

    def override(self, **overrides: Any) -> None:
        """Fill in what the open checkpoint's file does not say, besides what was filled in before.

        Raises
        ------
        CheckpointError
            If it does not fit; then nothing changes.
        """
        if self._as_read is not None:
            together = self._overrides | overrides
            changed = self._as_read.override(**together)
            self._overrides = together
            self._show(changed)

    def revert(self) -> None:
        """Take back everything that was filled in."""
        if self._as_read is not None and self._overrides:
            self._overrides = {}
            self._show(self._as_read)

    @property
    def overridden(self) -> bool:
        """Whether something was filled in."""
        return bool(self._overrides)

    def _show(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self.checkpoint_changed.emit(checkpoint)

    # -- how sure the checkpoint may be

    @property
    def calibration(self) -> Calibration | None:
        """The last calibration, whichever checkpoint it is of."""
        return self._calibration

    @property
    def temperature(self) -> float:
        """What maps of doubt of the open checkpoint use: 1 unless it was calibrated itself."""
        found = self._calibration
        return (
            1.0 if found is None or found.checkpoint is not self._checkpoint else found.temperature
        )

    def calibrate(self, calibration: Calibration) -> None:
        """Take a calibration; it counts whenever its checkpoint is the open one."""
        self._calibration = calibration
        self.calibration_changed.emit(calibration)

    # -- jobs

    def why_not_run(self) -> str:
        """Return why no job may begin now, or "" if one may."""
        if self._running is not None:
            return f"{self._running.verb} …"
        return "" if self._checkpoint is not None else "Open a model first."

    def begin(self, verb: str, snapshot: Any = None) -> Ticket:
        """Return the ticket of a job that begins now.

        Raises
        ------
        RuntimeError
            If another one runs.
        """
        if self._running is not None:
            raise RuntimeError(f"{self._running.verb}: wait for it to end, or stop it.")
        self._running = Ticket(next(self._numbers), verb, snapshot)
        self.running_changed.emit(self._running)
        return self._running

    def accept(self, ticket: Ticket, event: Any) -> bool:
        """Take what a job says, if it still counts; return whether it did."""
        if ticket is not self._running:
            return False
        self.arrived.emit(ticket, event)
        return True

    def end(self, ticket: Ticket) -> None:
        """Free the way for the next job; a ticket that does not count changes nothing."""
        if ticket is self._running:
            self._running = None
            self.running_changed.emit(None)
