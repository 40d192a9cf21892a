"""Options that several verbs have in common, and what becomes of them."""

from __future__ import annotations

import argparse
import os
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_emcad.cli.console import UsageError, as_usage_error
from napari_emcad.io.atomic_write import resolve_links
from napari_emcad.training.config import parsed_value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_emcad.io.checkpoints.checkpoint import Checkpoint

    Settings = Iterable[tuple[str, Any]]

_EMPTY = ("none", "-", "")

_LONGEST_NAME = 255
"""Bytes."""

_COMPUTING = (
    "channels",
    "device",
    "tile",
    "overlap",
    "batch",
    "threshold",
    "stretch",
    "full_precision",
)


def add_set(parser: argparse.ArgumentParser, flag: str = "--set", text: str = "") -> None:
    """Add an option NAME=VALUE that may be given several times."""
    usual = "what the file does not say: activation=relu, dw_parallel=false, head=sum, size=352 …"
    parser.add_argument(
        flag, type=_setting, action="append", default=[], metavar="NAME=VALUE", help=text or usual
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add the choice of a processor."""
    parser.add_argument(
        "--device",
        default="auto",
        choices=("auto", "cuda", "mps", "cpu"),
        help="where the network runs (auto: the best there is)",
    )


def add_axes(parser: argparse.ArgumentParser) -> None:
    """Add what is said of the images' axes and channels."""
    parser.add_argument("--axes", help="a letter per axis, such as ZYX or CYX; default: guessed")
    parser.add_argument(
        "--channels",
        type=_channels,
        help="the channel for each input, such as 2,0,1; none leaves an input empty",
    )


def add_network(parser: argparse.ArgumentParser) -> None:
    """Add a checkpoint, how images are read for it, and how its network runs."""
    parser.add_argument("--checkpoint", type=Path, help="default: the bundled one")
    add_set(parser)
    add_axes(parser)
    add_device(parser)
    parser.add_argument("--tile", type=int, default=512, help="side in pixels (512)")
    parser.add_argument("--overlap", type=float, default=0.25, help="share of a tile (0.25)")
    parser.add_argument("--full-precision", action="store_true", help="float32 on GPUs too")


def add_inference(parser: argparse.ArgumentParser) -> None:
    """Add a checkpoint, and how a segmentation is computed with it."""
    add_network(parser)
    parser.add_argument("--batch", type=int, help="tiles at once; default: by the device")
    parser.add_argument("--threshold", type=float, default=0.5, help="of a binary network (0.5)")
    parser.add_argument(
        "--stretch", action="store_true", help="stretch probabilities to 0 … 1 as published"
    )
    parser.add_argument("--fill-holes", type=int, default=0, help="up to so many pixels")
    parser.add_argument("--smallest-object", type=int, default=0, help="drop those of fewer pixels")
    parser.add_argument("--largest-component", action="store_true", help="keep one area per class")


def inference_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return what `napari_emcad.segment` takes as options.

    Raises
    ------
    Mistake
        If one is out of bounds.
    """
    from napari_emcad.imaging.regions import CleanUp
    from napari_emcad.inference.events import InferenceSettings

    said = vars(args)
    clean_up = {each.name: said[each.name] for each in fields(CleanUp) if each.name in said}
    options = {name: said[name] for name in _COMPUTING}
    options["clean_up"] = as_usage_error(CleanUp, **clean_up)
    settings = {name: value for name, value in options.items() if name != "channels"}
    as_usage_error(InferenceSettings, **settings)
    return options


def check_outputs(targets: Iterable[Path], read: Iterable[Path], overwrite: bool) -> None:
    """Refuse files to write before any work is done for them.

    Parameters
    ----------
    targets
        What will be written.
    read
        What is read; it is never written over.
    overwrite
        Whether other files may be replaced.

    Raises
    ------
    Mistake
        If one is read here, a folder, there already and not to be replaced, or where nobody may
        write, or if its name is too long.
    """
    inputs = {resolve_links(each) for each in read}
    for target in targets:
        if resolve_links(target) in inputs:
            raise UsageError(f"{target} is one of the files that are read; choose another output.")
        _check_output(target, overwrite)


def _check_output(target: Path, overwrite: bool) -> None:
    if len(os.fsencode(target.name)) > _LONGEST_NAME:
        raise UsageError(f"{target} cannot be written: its name is longer than disks take.")
    if os.path.isdir(target):
        raise UsageError(f"{target} is a folder; name a file in it.")
    if target.exists() and not overwrite:
        raise UsageError(f"{target} is there already; add --overwrite, or choose another output.")
    place = next(each for each in resolve_links(target).parents if os.path.lexists(each))
    if not place.is_dir():
        raise UsageError(f"{target} cannot be written: {place} is not a folder.")
    if not os.access(place, os.W_OK):
        raise UsageError(f"{target} cannot be written: you may not write to {place}.")


def load_checkpoint(path: Path | None, settings: Settings) -> Checkpoint:
    """Return a checkpoint with its settings, the bundled one without a path.

    Raises
    ------
    Mistake
        If it cannot be opened, or a setting does not fit.
    """
    from napari_emcad.io.checkpoints.files import bundled_checkpoint, read_checkpoint

    if path is not None:
        return as_usage_error(read_checkpoint, path, **dict(settings))
    return as_usage_error(bundled_checkpoint().override, **dict(settings))


def _setting(text: str) -> tuple[str, Any]:
    name, found, value = text.partition("=")
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    return name.strip(), parsed_value(value)


def _channels(text: str) -> tuple[int | None, ...]:
    try:
        return tuple(None if each.strip() in _EMPTY else int(each) for each in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list such as 2,0,1") from None
