"""Saves what the Segment tab shows as a file of settings, and opens such files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_emcad.io.checkpoints.checkpoint import Checkpoint
from napari_emcad.io.checkpoints.files import bundled_checkpoint, is_bundled
from napari_emcad.io.checkpoints.instant_model import InstantModel
from napari_emcad.io.checkpoints.read_model import read_model
from napari_emcad.io.checkpoints.sniff import CheckpointError
from napari_emcad.io.images.opened_image import first_line
from napari_emcad.io.settings_file import check_names, read_settings, write_settings
from napari_emcad.pipelines.as_code import (
    SegmentCall,
    call_from_options,
    segment_option_names,
    segment_options,
)
from napari_emcad.plugin.runner.thread import job_of
from napari_emcad.plugin.segment.copy_code import has_file, segment_call

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_emcad.pipelines.segmentation_model import SegmentationModel
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.runner.thread import Outcome
    from napari_emcad.plugin.segment.panel import SegmentPanel

_COMMAND = "segment"


class SettingsController(QObject):
    """Connects the buttons for files of settings.

    Parameters
    ----------
    context
        Shared state of the panel.
    panel
        Fields of the Segment tab.
    model
        Returns the chosen model.
    """

    def __init__(
        self, context: Context, panel: SegmentPanel, model: Callable[[], SegmentationModel | None]
    ) -> None:
        super().__init__(panel)
        self._context, self._panel, self._model = context, panel, model
        panel.code.save_requested.connect(self.save)
        panel.code.open_requested.connect(self.open)

    def save(self, path: Path) -> None:
        """Write what the tab shows; the image is not part of it."""
        model, problem = self._model(), self._context.image_input.problem
        if model is None or problem:
            self._context.show_message(problem or "Open a model first.", error=True)
            return
        if not has_file(model):
            self._context.show_message("Save the model first (Model tab).", error=True)
            return
        path = path.with_suffix(".toml") if not path.suffix else path
        try:
            options = segment_options(segment_call(self._context, model))
            write_settings(path, _COMMAND, options)
        except OSError as error:
            reason = f"The settings were not saved in {path}: {first_line(error)}."
            self._context.show_message(reason, error=True)
            return
        self._context.show_message(f"Saved as {path}; napari-emcad segment --settings uses it.")

    def open(self, path: Path) -> None:
        """Show the model and the settings of a file; nothing changes if it cannot be used."""
        if reason := self._context.session.why_not_run():
            self._context.show_message(reason, error=True)
            return
        try:
            options = read_settings(path, _COMMAND)
            check_names(path, _COMMAND, options, segment_option_names())
            call, others = call_from_options(options)
        except ValueError as error:
            self._context.show_message(str(error), error=True)
            return
        except OSError as error:
            reason = f"{path} cannot be read: {first_line(error)}."
            self._context.show_message(reason, error=True)
            return
        self._context.runner.run(
            "Opening the model",
            lambda _: job_of(lambda: _read(call)),
            lambda outcome: self._opened(call, path, others, outcome),
        )

    def _opened(
        self, call: SegmentCall, path: Path, others: Sequence[str], outcome: Outcome
    ) -> None:
        if outcome.error or outcome.cancelled:
            return
        try:
            self._use(outcome.result, call)
        except CheckpointError as error:
            self._context.show_message(f"{path}: {error}", error=True)
            return
        self._panel.set_settings(call.settings)
        self._panel.device.setCurrentIndex(
            max(self._panel.device.findData(call.settings.device), 0)
        )
        wrong = self._panel.show_reading(call.axes, call.channels, call.level)
        message = f"Settings of {path.name}."
        if wrong:
            message += f" Not for this image: {', '.join(wrong)}."
        if others:
            message += f" Only for the terminal: {', '.join(others)}."
        self._context.show_message(message)

    def _use(self, model: SegmentationModel, call: SegmentCall) -> None:
        """Open a model, unless it is open already, with the details of the file."""
        session = self._context.session
        if isinstance(model, InstantModel):
            session.set_instant(model)
            return
        if not isinstance(model, Checkpoint):
            return
        opened = session.checkpoint
        if opened is None or not _same_file(opened, model):
            session.open(model)
        session.revert()
        if call.overrides:
            session.override(**call.overrides)
        self._panel.model.choose_checkpoint()


def _read(call: SegmentCall) -> SegmentationModel:
    """Read the model of a call; details that do not fit it are an error."""
    model = read_model(Path(call.model)) if call.model else bundled_checkpoint()
    if isinstance(model, Checkpoint):
        model.override(**call.overrides)
    return model


def _same_file(a: Checkpoint, b: Checkpoint) -> bool:
    if is_bundled(a) or is_bundled(b):
        return is_bundled(a) and is_bundled(b)
    return a.origin.path == b.origin.path
