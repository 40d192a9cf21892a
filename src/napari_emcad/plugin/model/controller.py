"""Opens and saves models."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from napari_emcad.io.checkpoints.files import bundled_checkpoint, read_checkpoint, write_checkpoint
from napari_emcad.io.checkpoints.sniff import CheckpointError
from napari_emcad.plugin.settings import remember
from napari_emcad.plugin.widgets.helpers import shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from napari_emcad.interactive.session import Ticket
    from napari_emcad.interactive.versions import Version
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.plugin.model.panel import ModelPanel
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.runner.thread import Outcome

_LOST = "its format has no place for class names, preprocessing and history."


class ModelController(QObject):
    """Does what the Model panel wants, and keeps it up to date.

    Files are read and written in the job's thread: they may be slow, and torch is imported.

    Parameters
    ----------
    context
        Of the panel.
    panel
        What is shown.
    """

    def __init__(self, context: Context, panel: ModelPanel) -> None:
        super().__init__(panel)
        self._context, self._session, self._panel = context, context.session, panel
        panel.bundled_wanted.connect(self.open_bundled)
        panel.file_wanted.connect(self.open_file)
        panel.save_wanted.connect(self.save_file)
        panel.overridden.connect(self.override)
        panel.revert_wanted.connect(self._session.revert)
        self._session.checkpoint_changed.connect(self._show)
        self._session.running_changed.connect(self._show_running)
        self._show()

    def open_bundled(self) -> None:
        """Open the model that comes with the package."""
        self._start("Opening the bundled model", bundled_checkpoint, self._session.open)

    def open_file(self, path: Path) -> None:
        """Open a checkpoint file; what is wrong with it is said in the panel."""
        path = path.absolute()

        def opened(checkpoint: Checkpoint) -> None:
            remember(path)
            self._session.open(checkpoint)

        self._start(f"Opening {shortened(path.name)}", lambda: read_checkpoint(path), opened)

    def save_file(self, path: Path) -> None:
        """Write the open model, with what was filled in."""
        checkpoint = self._session.checkpoint
        if checkpoint is None:
            return
        path = path.absolute()

        def saved(_: None) -> None:
            if path.suffix.lower() == ".safetensors":
                self._context.say(f"Saved as {path}.")
                remember(path)
                self._show()
            else:
                self._context.say(f"Saved as {path}; {_LOST}")

        self._write(checkpoint, path, saved)

    def save_version(self, version: Version, path: Path) -> None:
        """Write a version of this sitting."""
        path = path.absolute()
        self._write(version.checkpoint, path, lambda _: self._context.say(f"Saved as {path}."))

    def override(self, overrides: dict[str, Any]) -> None:
        """Set what the file does not say."""
        try:
            self._session.override(**overrides)
        except CheckpointError as error:
            self._context.say(str(error), error=True)
            self._show()

    def _write(self, checkpoint: Checkpoint, path: Path, saved: Callable[[None], object]) -> None:
        work = partial(write_checkpoint, checkpoint, path)
        self._start(f"Saving {shortened(path.name)}", work, saved)

    def _start(self, verb: str, work: Callable[[], Any], done: Callable[[Any], object]) -> None:
        running = self._session.running
        if running is not None:
            self._context.say(f"{running.verb}: wait or stop it first.", error=True)
            self._show()
            return

        def ended(outcome: Outcome) -> None:
            if outcome.error:
                self._show()
            else:
                done(outcome.result)

        self._context.run(verb, lambda _: _job(work), ended)

    def _show(self, _: object = None) -> None:
        self._panel.show_checkpoint(self._session.checkpoint)

    def _show_running(self, ticket: Ticket | None) -> None:
        self._panel.show_running(ticket is not None)

    def release(self) -> None:
        """Let go of the session; it is not used again."""
        self._session.checkpoint_changed.disconnect(self._show)
        self._session.running_changed.disconnect(self._show_running)


def _job(work: Callable[[], Any]) -> Generator[Any, None, Any]:
    yield from ()
    return work()
