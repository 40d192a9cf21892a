"""Fills the shelf of models, and keeps a picture of what every model has segmented."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject

from napari_emcad.imaging.thumbnail import annotated_thumbnail
from napari_emcad.io.checkpoints.files import bundled_description, is_bundled_file
from napari_emcad.io.model_shelf import ModelShelf, summarize_model
from napari_emcad.pipelines.model_presets import MODEL_PRESETS, preset_summary
from napari_emcad.plugin.autosave import controller as autosave_controller
from napari_emcad.plugin.model.shelf_box import BUNDLED, ICON, ShelfRow
from napari_emcad.plugin.runner.thread import JobThread, job_of
from napari_emcad.plugin.settings import is_file, listed_files, remove_recent_file

if TYPE_CHECKING:
    from pathlib import Path

    from napari_emcad.interactive.session import Session
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.io.checkpoints.instant_model import InstantModel
    from napari_emcad.pipelines.segmentation_model import SegmentationModel
    from napari_emcad.plugin.layers.result import Result
    from napari_emcad.plugin.model.controller import ModelController
    from napari_emcad.plugin.model.shelf_box import ShelfBox
    from napari_emcad.plugin.runner.thread import Outcome


class ShelfController(QObject):
    """Shows the models that can be opened, and opens them.

    Parameters
    ----------
    session
        Session of the viewer.
    models
        Opens and saves models.
    box
        The list of models.
    """

    def __init__(self, session: Session, models: ModelController, box: ShelfBox) -> None:
        super().__init__(box)
        self._session, self._box = session, box
        self._current: str | None = None
        self._shelf = ModelShelf(autosave_controller.recovery_root().parent / "shelf")
        box.bundled_requested.connect(models.open_bundled)
        box.file_requested.connect(models.open_file)
        box.remove_requested.connect(self._remove)
        models.opened.connect(self._add)
        models.saved.connect(self._add)
        session.checkpoint_changed.connect(self._follow)
        session.running_changed.connect(self._show_running)
        self.refresh()

    def refresh(self, _: object = None) -> None:
        """List the models; a thread reads what is known of them."""
        self._start(partial(_rows, self._shelf, listed_files()), self._show)

    def _follow(self, checkpoint: Checkpoint) -> None:
        """Mark another model, if it is in a file: updates in Live mode are not."""
        if _key_of(checkpoint) != self._current:
            self.refresh()

    def keep_picture(self, result: Result) -> None:
        """Keep a picture of a result of a model from a file."""
        key = _key_of(result.target.checkpoint)
        if key and not result.target.corner:
            self._start(partial(_write_picture, self._shelf, key, result), self.refresh)

    def release(self) -> None:
        """Disconnect from the session; the controller is not used again."""
        self._session.checkpoint_changed.disconnect(self._follow)
        self._session.running_changed.disconnect(self._show_running)

    def _start(self, work: Any, done: Any) -> None:
        thread = JobThread(lambda _: job_of(work))
        thread.ended.connect(done)  # a bound method: disconnected with this object
        thread.start()

    def _show(self, outcome: Outcome) -> None:
        checkpoint = self._session.checkpoint
        if outcome.error:
            return
        self._current = "" if checkpoint is None else _key_of(checkpoint)
        self._box.show_rows(outcome.result, self._current)

    def _add(self, model: Checkpoint | InstantModel, path: Path) -> None:
        self._start(partial(self._shelf.write, str(path), summarize_model(model)), self.refresh)

    def _remove(self, path: Path) -> None:
        remove_recent_file(path)
        self._shelf.remove(str(path))
        self.refresh()

    def _show_running(self, ticket: object) -> None:
        self._box.show_running(ticket is not None)


def _key_of(model: SegmentationModel) -> str:
    """Return the key of a model on the shelf; "" if it is in no file."""
    if model.origin.format == "new":
        return ""
    return BUNDLED if is_bundled_file(model.origin) else model.origin.path


def _rows(shelf: ModelShelf, files: list[Path]) -> list[ShelfRow]:
    summary = summarize_model(bundled_description())
    rows = [ShelfRow(BUNDLED, None, "", summary, shelf.read_picture(BUNDLED))]
    for path in files:
        key = str(path)
        rows.append(
            ShelfRow(key, path, "", shelf.read(key), shelf.read_picture(key), not is_file(path))
        )
    rows += [ShelfRow("", None, title, preset_summary(title)) for title in MODEL_PRESETS]
    return rows


def _write_picture(shelf: ModelShelf, key: str, result: Result) -> None:
    target, labels = result.target, result.labels
    colors = {k: label.color for k, label in enumerate(target.checkpoint.classes, 1)}
    if target.settings.clean_up.separate:
        labels = (labels > 0).astype(np.uint8)
    picture = annotated_thumbnail(target.level.array, target.axes, labels, colors, side=ICON)
    if picture is not None:
        shelf.write_picture(key, picture)
