"""``napari-emcad train``: train a checkpoint on a folder of images and labels."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_emcad.cli.console import (
    ProgressLine,
    UsageError,
    as_usage_error,
    print_message,
    print_result,
    print_status,
)
from napari_emcad.cli.interrupt import stop_on_interrupt
from napari_emcad.cli.labeled_files import training_files
from napari_emcad.cli.options import add_axes, add_data, add_device, add_reading, add_settings
from napari_emcad.cli.settings_option import add_settings_file
from napari_emcad.cli.train_processes import run_on_processes, several_processes
from napari_emcad.cli.train_project import train_project
from napari_emcad.cli.training_data import describe_data, read_training_data
from napari_emcad.cli.training_protocol import apply_protocol, describe_recipe
from napari_emcad.cli.training_start import GENERAL, IMAGENET, NOTHING, start_checkpoint

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    import torch

    from napari_emcad.cli.training_data import TrainingData
    from napari_emcad.io.run_folder import TrainingRun
    from napari_emcad.pipelines.train import TrainResult
    from napari_emcad.training.config import TrainingConfig
    from napari_emcad.training.events import EpochEnd

_MODEL, _PRESET = "model.safetensors", "from-scratch"
_EXIT_STATUS = {"finished": 0, "diverged": 1, "stopped": 130}


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("train", help="train on a folder of images and labels")
    add_data(parser)
    parser.add_argument(
        "--project",
        type=Path,
        metavar="DIR",
        help="a project that was saved in napari, instead of a folder: learns its strokes",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    _add_recipe(parser)
    parser.add_argument("--validation", type=Path, metavar="DIR", help="a folder like the first")
    parser.add_argument(
        "--hold-out",
        type=float,
        help="share of images held out without --validation (0.15, of a data set with a part "
        "for validation that part)",
    )
    parser.add_argument("--foreground", action="store_true", help="every label above 0 is class 1")
    parser.add_argument(
        "--skip-bad", action="store_true", help="leave out files that cannot be used"
    )
    parser.add_argument("--resume", action="store_true", help="resume the training in --output")
    add_axes(parser)
    add_reading(parser, labels=True)
    add_device(parser)
    add_settings_file(parser)
    parser.set_defaults(run=run)


def _add_recipe(parser: argparse.ArgumentParser) -> None:
    """Add the options for settings of the training, and for the checkpoint to start from."""
    parser.add_argument("--preset", help="see the user guide (from-scratch)")
    parser.add_argument(
        "--protocol",
        metavar="NAME",
        help="preset, size and split of a paper: synapse, acdc, polyp, isic, busi",
    )
    parser.add_argument("--recipe", metavar="NAME", help="of the protocol: paper, seed-dice …")
    add_settings(
        parser, text="a setting of the preset: learning_rate=0.0001, epochs=50, flip=true …"
    )
    parser.add_argument(
        "--start",
        default="",
        metavar="FILE",
        help=f"a checkpoint, a PVTv2 encoder file, '{GENERAL}' (the bundled general encoder, B0), "
        f"'{IMAGENET}' or '{IMAGENET}:pvt_v2_b2' (an encoder downloaded from timm's hub), or "
        f"'{NOTHING}'; default: the bundled nuclei model",
    )
    add_settings(
        parser,
        "--model",
        f"of the checkpoint: encoder=pvt_v2_b2 ({NOTHING}, {IMAGENET}), size=256 …",
    )


def run(args: argparse.Namespace) -> int:
    """Train, and write checkpoint, history and curves into the output folder.

    Of several processes that torchrun started, the first one writes and prints.
    """
    if several_processes():
        return run_on_processes(args, _train_folder, _train_silently)
    return _train_folder(args)


def _train_silently(args: argparse.Namespace) -> int:
    """Take part in a training whose files another process writes; return the exit status."""
    from napari_emcad.io.run_folder import TrainingRun

    apply_protocol(args)
    config = _training_config(args)
    data = read_training_data(args, training_files(args), start_checkpoint(args), config.seed)
    state = None
    if args.resume:
        settings = _settings_to_resume(args, config, data)
        state = as_usage_error(as_usage_error(TrainingRun, args.output).load, settings)
    return _EXIT_STATUS[_train(args, data, config, state, lambda _: None).course.ending]


def _train_folder(args: argparse.Namespace) -> int:
    """Train, and write into the output folder."""
    from napari_emcad.inference.devices import choose_device
    from napari_emcad.io.run_folder import TrainingRun

    if args.project is not None:
        return _run_project(args)
    recipe = apply_protocol(args)
    config = _training_config(args)
    files = training_files(args)
    for remark in describe_recipe(args, recipe, config, files):
        print_message(remark)
    device = as_usage_error(choose_device, args.device)
    folder = as_usage_error(TrainingRun, args.output)
    with ExitStack() as stack:
        as_usage_error(stack.enter_context, folder.lock())
        if not args.resume:
            _check_unused(folder)
        data = read_training_data(args, files, start_checkpoint(args), config.seed)
        settings = _settings_to_resume(args, config, data)
        state = as_usage_error(folder.load, settings) if args.resume else None
        print_message(f"{describe_data(data)}; {_describe_device(device, config)}.")
        for remark in data.remarks:
            print_message(remark)
        save = partial(_save, folder, settings)
        result = _train(args, data, config, state, save)
        return _write_result(result, folder)


def _run_project(args: argparse.Namespace) -> int:
    """Train on a project, and write checkpoint and history into the output folder."""
    from napari_emcad.io.run_folder import TrainingRun

    folder, stop = as_usage_error(TrainingRun, args.output), threading.Event()
    with ExitStack() as stack:
        as_usage_error(stack.enter_context, folder.lock())
        _check_unused(folder)
        stack.enter_context(stop_on_interrupt(stop))
        return _write_result(train_project(args, stop), folder)


def _training_config(args: argparse.Namespace) -> TrainingConfig:
    from napari_emcad.training.presets import preset_config

    return as_usage_error(preset_config, args.preset or _PRESET, **dict(args.set))


def _check_unused(folder: TrainingRun) -> None:
    """Refuse a folder with a training to resume, or with files that would be replaced."""
    if folder.has_state:
        raise UsageError(
            f"{folder.folder} holds a training; continue it with --resume, or name another folder."
        )
    for name in (_MODEL, *folder.file_names):
        if (folder.folder / name).exists():
            raise UsageError(
                f"{folder.folder} holds a {name} already; move it, or name another folder."
            )


def _settings_to_resume(
    args: argparse.Namespace, config: TrainingConfig, data: TrainingData
) -> dict[str, Any]:
    """Return the settings that must be the same when a training is resumed."""
    from napari_emcad.io.run_folder import CONTENTS
    from napari_emcad.training.contents import content_digests

    start = data.start
    return {
        "training": asdict(config),
        "start": start.origin.sha256,
        "network": asdict(start.config),
        "preprocessing": asdict(start.preprocessing),
        "classes": [label.name for label in start.classes],
        "axes": args.axes,
        "channels": args.channels,
        "images": [labeled.name for labeled in data.training],
        "held-out images": [labeled.name for labeled in data.held_out],
        CONTENTS: content_digests([*data.training, *data.held_out]),
    }


def _describe_device(device: torch.device, config: TrainingConfig) -> str:
    """Return the device and the precision of the training as text."""
    from napari_emcad.inference.devices import device_choices
    from napari_emcad.model.precision import bfloat16_if_fast

    title = next(choice.title for choice in device_choices() if choice.name == device.type)
    half = bfloat16_if_fast(device) if config.mixed_precision else None
    return f"{title}, {'float32' if half is None else str(half).removeprefix('torch.')}"


def _train(
    args: argparse.Namespace,
    data: TrainingData,
    config: TrainingConfig,
    state: dict[str, Any] | None,
    save: Callable[[dict[str, Any]], object],
) -> TrainResult:
    """Train to the end, or until Ctrl-C; save what is needed to resume after every epoch."""
    from napari_emcad.pipelines.train import train_job
    from napari_emcad.training.events import EpochEnd, Snapshot, StepEnd

    stop, progress = threading.Event(), ProgressLine()
    job = train_job(data.start, data.training, data.held_out, config, stop, args.device, state)
    with stop_on_interrupt(stop):
        while True:
            try:
                event = as_usage_error(next, job)
            except StopIteration as end:
                result: TrainResult = end.value
                return result
            if isinstance(event, StepEnd):
                progress.show_progress(f"step {event.step} of {event.total}, loss {event.loss:.3f}")
            elif isinstance(event, EpochEnd):
                print_status(_describe_epoch(event))
            elif isinstance(event, Snapshot):
                save(event.state)


def _describe_epoch(epoch: EpochEnd) -> str:
    score = "" if epoch.dice is None else f", Dice {epoch.dice:.4f}{' (best)' * epoch.best}"
    return f"epoch {epoch.epoch} of {epoch.total}: loss {epoch.loss:.4f}{score}"


def _save(folder: TrainingRun, settings: dict[str, Any], state: dict[str, Any]) -> None:
    """Save history and state; the training goes on if that fails."""
    from napari_emcad.io.run_folder import RunError
    from napari_emcad.training.events import EpochEnd

    try:
        folder.write_history([EpochEnd(**epoch) for epoch in state["epochs"]])
        folder.save(state, settings)
    except RunError as error:
        print_message(f"{error} Training goes on, and cannot be resumed from here.")


def _write_result(result: TrainResult, folder: TrainingRun) -> int:
    """Write the trained checkpoint, print how the training ended, and return the exit status."""
    from napari_emcad.io.checkpoints.rescue import write_or_rescue
    from napari_emcad.io.run_folder import RunError
    from napari_emcad.training.events import selected_epoch

    trained = result.course
    path, problem = as_usage_error(write_or_rescue, result.checkpoint, folder.folder / _MODEL)
    if problem:
        print_message(f"{problem} The model is in {path} instead.")
    try:
        folder.write_history(trained.epochs)
    except RunError as error:
        problem = str(error)
        print_message(problem)
    if trained.ending == "stopped":
        print_message("stopped early; continue with --resume.")
    if trained.remark:
        print_message(f"{trained.remark} The last good weights are kept.")
    kept = selected_epoch(trained.epochs)
    if kept is not None and kept.dice is not None:
        print_message(f"epoch {kept.epoch} is kept, Dice {kept.dice:.4f}.")
    print_result(str(path))
    return _EXIT_STATUS[trained.ending] or int(bool(problem))
