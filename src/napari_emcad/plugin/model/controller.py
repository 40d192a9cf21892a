"""Opens and saves checkpoints."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_emcad.interactive.class_renames import relabel
from napari_emcad.interactive.session import wait_message
from napari_emcad.io.checkpoints.files import bundled_checkpoint, write_checkpoint
from napari_emcad.io.checkpoints.instant_model import InstantModel, write_instant
from napari_emcad.io.checkpoints.read_model import read_model
from napari_emcad.io.checkpoints.sniff import CheckpointError
from napari_emcad.pipelines.model_presets import MODEL_PRESETS
from napari_emcad.plugin.runner.thread import job_of
from napari_emcad.plugin.settings import add_recent_file
from napari_emcad.plugin.widgets.helpers import shorten
from napari_emcad.plugin.widgets.question import ask

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qtpy.QtWidgets import QMessageBox

    from napari_emcad.interactive.session import Ticket
    from napari_emcad.interactive.versions import Version
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.io.checkpoints.classes import ClassLabel
    from napari_emcad.plugin.model.panel import ModelPanel
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.runner.thread import Outcome

_NOT_STORED = "its format has no place for class names, preprocessing and history."


class ModelController(QObject):
    """Runs the jobs of the Model tab, and keeps it up to date.

    Files are read and written in a thread, because disks may be slow and torch is imported.

    Parameters
    ----------
    context
        Shared state of the panel.
    panel
        Fields of the tab.

    Signals
    -------
    written
        A model as a training or an update made it; it is in a file now.
    opened, saved
        A model that was opened from a file, or saved there, and the path.
    """

    written = Signal(object)
    opened = Signal(object, object)
    saved = Signal(object, object)

    def __init__(self, context: Context, panel: ModelPanel) -> None:
        super().__init__(panel)
        self._context, self._session, self._panel = context, context.session, panel
        self.question: QMessageBox | None = None
        panel.bundled_requested.connect(self.open_bundled)
        panel.file_requested.connect(self.open_file)
        panel.save_requested.connect(self.save_file)
        panel.overridden.connect(self.override)
        panel.revert_requested.connect(self.revert)
        self._session.checkpoint_changed.connect(self._show)
        self._session.running_changed.connect(self._show_running)
        self._show()

    def open_bundled(self) -> None:
        """Open the bundled model."""
        self._start("Opening the bundled model", bundled_checkpoint, self._open)

    def open_file(self, path: Path, preset: str = "") -> None:
        """Open a checkpoint or an instant model; an error is shown in the panel.

        Parameters
        ----------
        path
            Path of the file.
        preset
            Title of the settings of a published model that the file is, see `MODEL_PRESETS`.
        """
        path = path.absolute()

        def opened(model: Checkpoint | InstantModel) -> None:
            if isinstance(model, InstantModel):
                self._session.set_instant(model)
                self._context.show_message("Opened; the Segment tab uses this instant model now.")
            else:
                self._open(model)
                if preset:
                    self.override(dict(MODEL_PRESETS[preset]))
            if problem := add_recent_file(path):
                self._context.show_message(problem)
            self._show()
            self.opened.emit(model, path)

        self._start(f"Opening {shorten(path.name)}", lambda: read_model(path), opened)

    def save_file(self, path: Path) -> None:
        """Write the open model with the details that were filled in."""
        checkpoint = self._session.checkpoint
        if checkpoint is None:
            return
        path = path.absolute()
        version = self._session.versions.current

        def saved(_: None) -> None:
            if version is not None:
                self.written.emit(version.checkpoint)
            if path.suffix.lower() == ".safetensors":
                message = f"Saved as {path}. {add_recent_file(path)}"
                self._context.show_message(message.strip())
                self._show()
                self.saved.emit(checkpoint, path)
            else:
                self._context.show_message(f"Saved as {path}; {_NOT_STORED}")

        self._write(checkpoint, path, saved)

    def save_version(self, version: Version, path: Path) -> None:
        """Write a version of the model."""
        path = path.absolute()
        checkpoint = relabel(self._session.project, version.checkpoint)

        def saved(_: None) -> None:
            self.written.emit(version.checkpoint)
            self._context.show_message(f"Saved as {path}.")

        self._write(checkpoint, path, saved)

    def save_instant(self, path: Path) -> None:
        """Write the instant model of the session."""
        model = self._session.instant
        if model is None:
            return
        path = path.absolute()

        def saved(_: None) -> None:
            self._context.show_message(f"Saved as {path}. {add_recent_file(path)}".strip())
            self._show()
            self.saved.emit(model, path)

        self._start(f"Saving {shorten(path.name)}", partial(write_instant, model, path), saved)

    def override(self, overrides: dict[str, Any]) -> None:
        """Fill in details that the file lacks."""
        self._change(lambda: self._session.override(**overrides))

    def revert(self) -> None:
        """Remove all details that were filled in."""
        self._change(self._session.revert)

    def _change(self, change: Callable[[], None]) -> None:
        try:
            change()
        except CheckpointError as error:
            self._context.show_message(str(error), error=True)
            self._show()

    def _open(self, checkpoint: Checkpoint) -> None:
        added = self._session.open(checkpoint)
        if added:
            names = ", ".join(f"“{label.name}”" for label in added)
            self.question = ask(
                self._panel,
                f"Learn {names} as well?",
                "The model has classes that you have not annotated. With them, a training keeps "
                "what the network knows of them.",
                {
                    "Keep only my classes": partial(self._remove_classes, added),
                    "Use its classes as well": lambda: None,
                },
            )

    def _remove_classes(self, classes: tuple[ClassLabel, ...]) -> None:
        """Remove the classes of a model from those annotated, where nothing was painted since."""
        project = self._session.project
        for label in classes:
            names = [one.name for one in project.classes]
            k = names.index(label.name) + 1 if label.name in names else 0
            if k and not project.record.pixel_counts.get(k):
                project.remove_class(k)

    def _write(self, checkpoint: Checkpoint, path: Path, saved: Callable[[None], object]) -> None:
        work = partial(write_checkpoint, checkpoint, path)
        self._start(f"Saving {shorten(path.name)}", work, saved)

    def _start(self, verb: str, work: Callable[[], Any], done: Callable[[Any], object]) -> None:
        running = self._session.running
        if running is not None:
            self._context.show_message(wait_message(running), error=True)
            self._show()
            return

        def ended(outcome: Outcome) -> None:
            if outcome.error:
                self._show()
            else:
                done(outcome.result)

        self._context.runner.run(verb, lambda _: job_of(work), ended)

    def _show(self, _: object = None) -> None:
        self._panel.show_checkpoint(self._session.checkpoint)

    def _show_running(self, ticket: Ticket | None) -> None:
        self._panel.show_running(ticket is not None)

    def release(self) -> None:
        """Disconnect from the session; the controller is not used again."""
        self._session.checkpoint_changed.disconnect(self._show)
        self._session.running_changed.disconnect(self._show_running)
