"""What the controllers of one panel share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel

    from napari_emcad.interactive.session import Session
    from napari_emcad.plugin.autosave.saver import AutosaveSaver
    from napari_emcad.plugin.layers.image_input import ImageInput
    from napari_emcad.plugin.layers.results import Results
    from napari_emcad.plugin.runner.job_runner import JobRunner


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """What the controllers of one panel share.

    Attributes
    ----------
    viewer, session, results
        Viewer, its session and its result layers.
    image_input
        The chosen image, and how it is read and segmented.
    runner
        Runs jobs and shows messages.
    saver
        Saves the work of the viewer; it outlives the panel.
    """

    viewer: ViewerModel
    session: Session
    results: Results
    image_input: ImageInput
    runner: JobRunner
    saver: AutosaveSaver

    def show_message(
        self, message: str, error: bool = False, holds: Callable[[], object] | None = None
    ) -> None:
        """Show a message to the user; see `JobRunner.show_message`."""
        self.runner.show_message(message, error, holds)
