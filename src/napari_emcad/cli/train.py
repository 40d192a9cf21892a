"""``napari-emcad train``: a folder of images and labels into a checkpoint."""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_emcad.cli.console import (
    ProgressLine,
    UsageError,
    as_usage_error,
    print_result,
    print_status,
    show_progress,
)
from napari_emcad.cli.options import add_axes, add_device, add_set, load_checkpoint
from napari_emcad.cli.training_data import check_folders, describe_data, read_training_data

if TYPE_CHECKING:
    import argparse
    from collections.abc import Generator, Iterator

    import torch

    from napari_emcad.cli.training_data import TrainingData
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.io.run_folder import TrainingRun
    from napari_emcad.pipelines.train import TrainResult
    from napari_emcad.training.config import TrainingConfig
    from napari_emcad.training.events import EpochEnd

_NOTHING, _IMAGENET = "nothing", "imagenet"
_ENCODER = "pvt_v2_b0"
_MODEL = "model.safetensors"
_STATUS = {"finished": 0, "diverged": 1, "stopped": 130}


def add_parser(verbs: Any) -> None:
    """Add the verb."""
    train = verbs.add_parser("train", help="train on a folder of images and labels")
    train.add_argument(
        "folder", type=Path, help="with images/ and labels/ (or masks/), perhaps classes.yaml"
    )
    train.add_argument("--output", type=Path, required=True, metavar="DIR")
    train.add_argument("--preset", default="from-scratch", help="see the user guide (from-scratch)")
    add_set(train, text="a setting of the preset: learning_rate=0.0001, epochs=50, flip=true …")
    train.add_argument(
        "--start",
        default="",
        metavar="FILE",
        help=f"a checkpoint, a PVTv2 encoder file, '{_IMAGENET}' or '{_IMAGENET}:pvt_v2_b2' (an "
        f"encoder fetched from timm's hub), or '{_NOTHING}'; default: the bundled one",
    )
    add_set(
        train,
        "--model",
        f"of the checkpoint: encoder=pvt_v2_b2 ({_NOTHING}, {_IMAGENET}), size=256 …",
    )
    train.add_argument("--validation", type=Path, metavar="DIR", help="a folder like the first")
    train.add_argument(
        "--hold-out", type=float, default=0.15, help="share of images held out else (0.15)"
    )
    train.add_argument("--foreground", action="store_true", help="every label above 0 is class 1")
    train.add_argument("--skip-bad", action="store_true", help="leave out files that do not do")
    train.add_argument("--resume", action="store_true", help="go on with what --output holds")
    add_axes(train)
    add_device(train)
    train.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train, and write checkpoint, history and curves into the output folder."""
    from napari_emcad.inference.devices import choose_device
    from napari_emcad.io.run_folder import TrainingRun

    config = _config(args)
    check_folders(args)
    device = as_usage_error(choose_device, args.device)
    kept = as_usage_error(TrainingRun, args.output)
    with ExitStack() as held:
        as_usage_error(held.enter_context, kept.lock())
        if not args.resume:
            _check_free(kept)
        data = read_training_data(args, _begun(args), config.seed)
        about = _about(args, config, data)
        state = as_usage_error(kept.load, about) if args.resume else None
        print_status(f"napari-emcad: {describe_data(data)}; {_told_device(device, config)}.")
        for remark in data.remarks:
            print_status(f"napari-emcad: {remark}")
        return _finished(_taught(args, data, config, state, kept, about), kept)


def _check_free(kept: TrainingRun) -> None:
    """Refuse a folder that holds a training, or files of others that it would replace."""
    if kept.has_state:
        raise UsageError(f"{kept.folder} holds a training; go on with --resume, or name another.")
    for name in (_MODEL, *kept.file_names):
        if (kept.folder / name).exists():
            raise UsageError(
                f"{kept.folder} holds a {name} already; move it, or name another folder."
            )


def _finished(taught: TrainResult, kept: TrainingRun) -> int:
    """Write what came of a training, say how it ended, and return the exit status."""
    from napari_emcad.io.checkpoints.files import write_checkpoint
    from napari_emcad.training.events import kept_epoch

    path = kept.folder / _MODEL
    as_usage_error(write_checkpoint, taught.checkpoint, path)
    as_usage_error(kept.write_history, taught.trained.epochs)
    if taught.trained.ending == "stopped":
        print_status("napari-emcad: stopped early; go on with --resume.")
    if taught.trained.remark:
        print_status(f"napari-emcad: {taught.trained.remark} The last good weights are kept.")
    kept_one = kept_epoch(taught.trained.epochs)
    if kept_one is not None and kept_one.dice is not None:
        print_status(f"napari-emcad: epoch {kept_one.epoch} is kept, Dice {kept_one.dice:.4f}.")
    print_result(str(path))
    return _STATUS[taught.trained.ending]


def _told_device(device: torch.device, config: TrainingConfig) -> str:
    """Return in words what computes, and how precisely."""
    from napari_emcad.inference.devices import device_choices
    from napari_emcad.model.precision import bfloat16_if_quick

    title = next(each.title for each in device_choices() if each.name == device.type)
    half = bfloat16_if_quick(device) if config.mixed_precision else None
    return f"{title}, {'float32' if half is None else str(half).removeprefix('torch.')}"


def _about(args: argparse.Namespace, config: TrainingConfig, data: TrainingData) -> dict[str, Any]:
    """Return what a training is of; one that is gone on with must agree in all of it."""
    start = data.start
    return {
        "training": asdict(config),
        "start": start.origin.sha256,
        "network": asdict(start.config),
        "preprocessing": asdict(start.preprocessing),
        "classes": [each.name for each in start.classes],
        "axes": args.axes,
        "channels": args.channels,
        "images": [each.name for each in data.learned],
        "held-out images": [each.name for each in data.held_out],
    }


def _config(args: argparse.Namespace) -> TrainingConfig:
    from napari_emcad.training.config import PRESETS, meant

    if args.preset not in PRESETS:
        raise UsageError(
            f"There is no preset {args.preset}; choose one of {', '.join(PRESETS)}"
            f"{meant([args.preset], PRESETS)}."
        )
    return as_usage_error(PRESETS[args.preset].changed, **dict(args.set))


def _begun(args: argparse.Namespace) -> Checkpoint:
    """Return what training starts from, with the settings of --model."""
    settings = dict(args.model)
    begun = _started(args.start, settings)
    return as_usage_error(begun.override, **settings)


def _started(start: str, settings: dict[str, Any]) -> Checkpoint:
    """Return what --start names; an encoder that has been chosen leaves the settings."""
    from napari_emcad.io.checkpoints.sniff import EncoderOnlyError

    word, _, encoder = start.partition(":")
    if start == _NOTHING:
        return _new(encoder=settings.pop("encoder", _ENCODER))
    if word == _IMAGENET:
        return _new(_imagenet(encoder or settings.pop("encoder", _ENCODER)))
    try:
        return load_checkpoint(Path(start) if start else None, [])
    except UsageError as mistake:
        if not isinstance(mistake.__cause__, EncoderOnlyError):
            raise
        return _new(start)


def _new(encoder_file: Path | str | None = None, **config: Any) -> Checkpoint:
    """Return an untrained network that takes images of any size and range."""
    from napari_emcad.io.checkpoints.initialize import initialize_checkpoint

    fresh = as_usage_error(initialize_checkpoint, encoder_file, **config)
    return fresh.override(intensity="percentile", low=0.5, high=99.5, size=None)


def _imagenet(encoder: str) -> Path:
    """Return the file of an encoder; Ctrl-C while it is fetched leaves nothing of it."""
    from napari_emcad.io.checkpoints.hub import hub_encoder

    def told(done: int, total: int) -> None:
        show_progress(f"{encoder}: {done / 1e6:.1f} of {total / 1e6:.1f} MB", last=done == total)

    return as_usage_error(hub_encoder, encoder, told)


def _taught(
    args: argparse.Namespace,
    data: TrainingData,
    config: TrainingConfig,
    state: dict[str, Any] | None,
    kept: TrainingRun,
    about: dict[str, Any],
) -> TrainResult:
    """Train to the end, or until Ctrl-C, keeping what is needed to go on."""
    from napari_emcad.pipelines.train import teach
    from napari_emcad.training.events import EpochEnd, Snapshot, StepEnd

    stop, pulse = threading.Event(), ProgressLine()
    job = teach(data.start, data.learned, data.held_out, config, stop, args.device, state)
    with _interrupt_sets(stop):
        while True:
            try:
                event = as_usage_error(_next, job)
            except StopIteration as ended:
                taught: TrainResult = ended.value
                return taught
            if isinstance(event, StepEnd):
                pulse.show_progress(f"step {event.step} of {event.total}, loss {event.loss:.3f}")
            elif isinstance(event, EpochEnd):
                print_status(_told(event))
            elif isinstance(event, Snapshot):
                _keep(kept, event.state, about)


def _keep(kept: TrainingRun, state: dict[str, Any], about: dict[str, Any]) -> None:
    """Keep what is needed to go on; where it cannot be kept, the training itself is not lost."""
    from napari_emcad.io.run_folder import RunError
    from napari_emcad.training.events import EpochEnd

    try:
        kept.write_history([EpochEnd(**each) for each in state["epochs"]])
        kept.save(state, about)
    except RunError as error:
        print_status(f"napari-emcad: {error} Training goes on, and cannot be resumed from here.")


def _next(job: Generator[Any, None, Any]) -> Any:
    return next(job)


@contextmanager
def _interrupt_sets(stop: threading.Event) -> Iterator[None]:
    """Let the first Ctrl-C end the training in good order; the second one ends the process."""

    def stopping(*_: object) -> None:
        print_status(
            "napari-emcad: stopping after this step; press Ctrl-C again to give up at once."
        )
        stop.set()
        signal.signal(signal.SIGINT, before)

    before = signal.getsignal(signal.SIGINT)
    in_main = threading.current_thread() is threading.main_thread()
    if in_main:
        signal.signal(signal.SIGINT, stopping)
    try:
        yield
    finally:
        if in_main:
            signal.signal(signal.SIGINT, before)


def _told(epoch: EpochEnd) -> str:
    score = "" if epoch.dice is None else f", Dice {epoch.dice:.4f}{' (best)' * epoch.best}"
    return f"epoch {epoch.epoch} of {epoch.total}: loss {epoch.loss:.4f}{score}"
