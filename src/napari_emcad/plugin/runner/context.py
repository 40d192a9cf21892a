"""What the controllers of one panel share, and the one way in which they run a job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_emcad.inference.events import Notice

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel

    from napari_emcad.interactive.session import Session
    from napari_emcad.plugin.layers.results import Results
    from napari_emcad.plugin.runner.job_bar import JobBar
    from napari_emcad.plugin.runner.thread import MakeJob, Outcome
    from napari_emcad.plugin.segment.panel import SegmentPanel


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """What the controllers of one panel share.

    Attributes
    ----------
    viewer, session, results
        Of one window.
    segment_panel
        Says how images are read: axes, channels, resolution, settings.
    job_bar
        Runs the jobs, one at a time.
    """

    viewer: ViewerModel
    session: Session
    results: Results
    segment_panel: SegmentPanel
    job_bar: JobBar

    @property
    def device(self) -> str:
        """The processor that is chosen."""
        device: str = self.segment_panel.device.currentData()
        return device

    def say(self, message: str, error: bool = False) -> None:
        """Show a message."""
        self.job_bar.say(message, error)

    def run(
        self,
        verb: str,
        make_job: MakeJob,
        ended: Callable[[Outcome], object],
        heard: Callable[[Any], object] | None = None,
        snapshot: Any = None,
        *,
        cancellable: bool = False,
        quiet: bool = False,
    ) -> None:
        """Run a job; both callbacks are called on the main thread.

        Parameters
        ----------
        verb
            What it does, for people: "Segmenting nuclei".
        make_job
            Given a stop event, returns the generator; called in the thread.
        ended
            Called once, when another job may begin; an error has been shown by then.
        heard
            Called with what the job yields, as long as it counts; a `Notice` is shown.
        snapshot
            What the job is begun on; released if the panel is closed meanwhile.
        cancellable, quiet
            See `JobBar.start`.

        Raises
        ------
        RuntimeError
            If another job runs.
        """
        ticket = self.session.begin(verb, snapshot)

        def hear(event: Any) -> None:
            if not self.session.accept(ticket, event):
                return
            if isinstance(event, Notice):
                self.say(event.text)
            elif heard is not None:
                heard(event)

        def end(outcome: Outcome) -> None:
            self.session.end(ticket)
            if outcome.error:
                self.say(outcome.error, error=True)
            ended(outcome)

        self.job_bar.start(verb, make_job, hear, end, cancellable=cancellable, quiet=quiet)
