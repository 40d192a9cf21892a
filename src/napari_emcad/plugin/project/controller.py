"""Saves the work of a viewer as a project, and opens one."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

from qtpy.QtCore import QObject, Signal

from napari_emcad.imaging.fingerprint import image_fingerprint
from napari_emcad.imaging.regions import CleanUp
from napari_emcad.inference.events import InferenceSettings
from napari_emcad.interactive.versions import How
from napari_emcad.io.annotation_file import SavedAnnotation
from napari_emcad.io.project_folder import (
    SavedProject,
    SavedVersion,
    read_project,
    write_project,
)
from napari_emcad.plugin.annotations.copies import COPIED_PIXELS
from napari_emcad.plugin.annotations.saved import open_image_file, restore_annotations
from napari_emcad.plugin.layers.geometry import levels
from napari_emcad.plugin.runner.thread import job_of
from napari_emcad.plugin.widgets.helpers import shorten
from napari_emcad.training.events import HeldOut

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence
    from pathlib import Path

    from napari_emcad.interactive.versions import Version
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.plugin.annotations.pairs import AnnotationLayers
    from napari_emcad.plugin.project.box import ProjectBox
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.runner.thread import Outcome
    from napari_emcad.plugin.segment.panel import SegmentPanel

    _Written = tuple[Sequence[Checkpoint], Mapping[Hashable, int]]
    """Models and states of annotations; see `WrittenWork`."""

_SETTINGS = ("tile", "overlap", "batch", "threshold", "stretch", "full_precision", "probabilities")
"""Settings of a project; the device is that of the computer."""


class ProjectController(QObject):
    """Runs what a `ProjectBox` asks for.

    Parameters
    ----------
    context
        Shared state of the panel.
    annotations
        Annotation layers.
    box
        Asks for the folder.
    segmenting
        Fields of the Segment tab, whose settings belong to the project.

    Signals
    -------
    opened
        A project was opened.
    """

    opened = Signal()

    def __init__(
        self,
        context: Context,
        annotations: AnnotationLayers,
        box: ProjectBox,
        segmenting: SegmentPanel,
    ) -> None:
        super().__init__(box)
        self._context, self._annotations, self._box = context, annotations, box
        self._segmenting = segmenting
        self._viewer, self._session = context.viewer, context.session
        box.save_requested.connect(self.save)
        box.open_requested.connect(self.open)

    # -- saving

    def ask_and_save(self, then: Callable[[], object]) -> None:
        """Ask for a folder, save there, and call a function when everything is written."""
        if (folder := self._box.ask_folder()) is not None:
            self.save(folder, then)

    def save(self, folder: Path, then: Callable[[], object] | None = None) -> None:
        """Write annotations, versions, classes and settings.

        Parameters
        ----------
        folder
            Folder of the project.
        then
            Called when everything is written.
        """
        versions = list(self._session.versions)
        current = self._session.versions.current
        labels = [
            (pair.values.copy(), about, pair)
            for pair, about in self._context.saver.annotations.described().values()
        ]
        project = SavedProject(
            versions=tuple(SavedVersion(one.checkpoint, _about(one)) for one in versions),
            current=None if current is None else versions.index(current),
            classes=tuple((c.name, c.color) for c in self._annotations.project.classes),
            settings=_settings_as_dict(self._segmenting.settings),
            review=tuple(self._session.review.to_list()),
        )
        written = (
            [one.checkpoint for one in versions],
            self._context.saver.written.annotation_states(),
        )
        without_file = [pair.image.name for _, about, pair in labels if not about["path"]]
        self._run(
            f"Saving {shorten(folder.name)}",
            lambda: _write(folder, project, labels),
            partial(self._saved, folder, without_file, written, then),
        )

    def _saved(
        self,
        folder: Path,
        without_file: list[str],
        written: _Written,
        then: Callable[[], object] | None,
        _: None,
    ) -> None:
        self._box.show_project(folder)
        self._mark_written(written)
        message = f"Saved as {folder}."
        if without_file:
            names = ", ".join(f"“{name}”" for name in dict.fromkeys(without_file))
            message += f" Save {names} as well: no file has these pixels (File, Save Selected)."
        self._context.show_message(message)
        if then is not None:
            then()

    def _mark_written(self, written: _Written) -> None:
        """Let neither autosave nor the question on closing offer what is in the project."""
        models, states = written
        for model in models:
            self._context.saver.forget(model)
        self._context.saver.written.add_annotations(states)

    # -- opening

    def open(self, folder: Path) -> None:
        """Open a project beside what is open."""
        self._run(
            f"Opening {shorten(folder.name)}",
            lambda: read_project(folder),
            partial(self._opened, folder),
        )

    def _opened(self, folder: Path, result: tuple[SavedProject, list[str]]) -> None:
        project, problems = result
        self._box.show_project(folder)
        self._restore_versions(project)
        before = set(self._context.saver.written.annotation_states())
        problems += [open_image_file(self._viewer, one.metadata) for one in project.annotations]
        without = restore_annotations(self._viewer, self._annotations, project.annotations)
        if without:
            names = ", ".join(f"“{name}”" for name in without)
            problems.append(f"No open image has the pixels that {names} was painted on.")
        states = self._context.saver.written.annotation_states()
        new = {key: state for key, state in states.items() if key not in before}
        self._mark_written(([one.checkpoint for one in project.versions], new))
        problems.append(self._restore_settings(project.settings))
        problems.append(self._restore_review(project))
        problems = [problem for problem in problems if problem]
        self._context.show_message(" ".join([f"Opened {folder}.", *problems]), error=bool(problems))
        self.opened.emit()

    def _restore_versions(self, project: SavedProject) -> None:
        restored: list[Version] = []
        for saved in project.versions:
            about = saved.about
            how: How = about["how"] if about.get("how") in get_args(How) else "opened"
            if how == "opened" or not restored:
                self._session.open(saved.checkpoint)
            else:
                score = about.get("score")
                self._session.add_version(
                    how,
                    saved.checkpoint,
                    int(about.get("strokes", 0)),
                    None if score is None else HeldOut(*map(float, score)),
                    int(about.get("held_out", 0)),
                )
            if (current := self._session.versions.current) is not None:
                restored.append(current)
        if project.current is not None and project.current < len(restored):
            self._session.go_to(restored[project.current])

    def _restore_settings(self, settings: dict[str, Any]) -> str:
        try:
            self._segmenting.set_settings(_settings_from_dict(settings, self._segmenting.settings))
        except (ValueError, TypeError) as error:
            return f"Its settings are not used: {error}"
        return ""

    def _restore_review(self, project: SavedProject) -> str:
        try:
            self._session.review.restore(project.review)
        except (KeyError, ValueError, TypeError) as error:
            return f"Its images to review are not listed: {error}"
        return ""

    def _run(self, verb: str, work: Callable[[], Any], done: Callable[[Any], object]) -> None:
        if self._session.running is not None:
            message = f"{self._session.running.verb}: wait until it has ended, or stop it."
            self._context.show_message(message, error=True)
            return

        def ended(outcome: Outcome) -> None:
            if not outcome.error:
                done(outcome.result)

        self._context.runner.run(verb, lambda _: job_of(work), ended)


def _about(version: Version) -> dict[str, Any]:
    score = version.score
    return {
        "how": version.how,
        "strokes": version.strokes,
        "score": None if score is None else [score.dice, score.iou],
        "held_out": version.held_out,
    }


def _write(folder: Path, project: SavedProject, labels: list[Any]) -> None:
    annotations = tuple(
        SavedAnnotation(
            values,
            about | {"fingerprint": image_fingerprint(levels(pair.image)[0].array)},
            COPIED_PIXELS.planes(pair.labels),
        )
        for values, about, pair in labels
    )
    write_project(folder, replace(project, annotations=annotations))


def _settings_as_dict(settings: InferenceSettings) -> dict[str, Any]:
    values = {name: getattr(settings, name) for name in _SETTINGS}
    return values | {"clean_up": asdict(settings.clean_up)}


def _settings_from_dict(values: dict[str, Any], before: InferenceSettings) -> InferenceSettings:
    known = {name: values[name] for name in _SETTINGS if name in values}
    clean_up = CleanUp(**values.get("clean_up", {}))
    return InferenceSettings(device=before.device, clean_up=clean_up, **known)
