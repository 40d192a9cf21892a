"""``napari-emcad train --project``: train on the strokes of a project that was saved in napari."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_emcad.cli.console import (
    ProgressLine,
    UsageError,
    as_usage_error,
    print_message,
    print_status,
)
from napari_emcad.cli.training_start import start_checkpoint

if TYPE_CHECKING:
    import argparse
    import threading

    from napari_emcad.interactive.task import TrainingTask
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.io.project_folder import SavedProject
    from napari_emcad.pipelines.train import TrainResult
    from napari_emcad.training.config import TrainingConfig

_PRESET = "scribbles"

_OTHER_DATA = ("folder", "images", "labels", "layout", "protocol", "validation", "hold_out")
"""Options that a project makes meaningless."""


def train_project(args: argparse.Namespace, stop: threading.Event) -> TrainResult:
    """Train on the annotations of ``--project`` until the end, or until `stop` is set.

    Raises
    ------
    UsageError
        If the project cannot be read or learned, or an option does not go with it.
    """
    from napari_emcad.io.project_folder import read_project
    from napari_emcad.training.presets import preset_config

    for name in _OTHER_DATA:
        if getattr(args, name) is not None:
            option = name if name == "folder" else f"--{name.replace('_', '-')}"
            raise UsageError(f"--project has its own images; leave out {option}.")
    if args.resume:
        raise UsageError("A training on a project is short and cannot be resumed.")
    config = as_usage_error(preset_config, args.preset or _PRESET, **dict(args.set))
    project, problems = as_usage_error(read_project, args.project)
    for problem in problems:
        print_message(problem)
    task = _task(args, project, config)
    count = len(project.annotations)
    print_message(
        f"{count} annotated image{'s' if count != 1 else ''}, classes "
        f"{', '.join(label.name for label in task.checkpoint.classes)}."
    )
    return _run(task, stop)


def _task(args: argparse.Namespace, project: SavedProject, config: TrainingConfig) -> TrainingTask:
    from napari_emcad.interactive.project_task import project_task

    start, automatic = _start(args, project), not args.start
    return as_usage_error(project_task, project, start, config, args.device, automatic)


def _start(args: argparse.Namespace, project: SavedProject) -> Checkpoint:
    """Return the checkpoint of ``--start``, by default the project's current version."""
    if args.start or project.current is None:
        return start_checkpoint(args)
    current = project.versions[project.current].checkpoint
    return as_usage_error(current.override, **dict(args.model))


def _run(task: TrainingTask, stop: threading.Event) -> TrainResult:
    from napari_emcad.inference.events import Notice
    from napari_emcad.inference.jobs import run_job
    from napari_emcad.interactive.fine_tune import fine_tune_job
    from napari_emcad.interactive.plane_cache import PlaneCache
    from napari_emcad.interactive.visible_region import VisibleRegion
    from napari_emcad.training.events import EpochEnd, StepEnd

    progress = ProgressLine()

    def report(event: Any) -> None:
        if isinstance(event, StepEnd):
            progress.show_progress(f"step {event.step} of {event.total}, loss {event.loss:.3f}")
        elif isinstance(event, EpochEnd) and event.dice is not None:
            print_status(f"held-out Dice {event.dice:.4f}{' (best)' * event.best}")
        elif isinstance(event, Notice):
            print_message(event.text)

    job = fine_tune_job(task, PlaneCache(), VisibleRegion(), stop)
    return as_usage_error(run_job, job, report)
