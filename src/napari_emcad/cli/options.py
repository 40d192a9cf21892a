"""Options that several subcommands have in common, and what is made of them."""

from __future__ import annotations

import argparse
import math
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_emcad.cli.console import UsageError, as_usage_error
from napari_emcad.cli.settings_option import add_settings_file
from napari_emcad.io.images.read_options import PLANES, ReadOptions
from napari_emcad.training.settings import parse_value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.pipelines.segmentation_model import SegmentationModel

    Settings = Iterable[tuple[str, Any]]

_EMPTY_CHANNEL = ("none", "-", "")

_INFERENCE = (
    "channels",
    "device",
    "tile",
    "overlap",
    "batch",
    "threshold",
    "stretch",
    "full_precision",
)
"""Options that `napari_emcad.segment` has too."""


def add_settings(parser: argparse.ArgumentParser, flag: str = "--set", text: str = "") -> None:
    """Add an option NAME=VALUE that may be given several times."""
    default = (
        "what the file does not contain: activation=relu, dw_parallel=false, head=sum, size=352 …"
    )
    parser.add_argument(
        flag,
        type=_setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=text or default,
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add the option --device."""
    parser.add_argument(
        "--device",
        default="auto",
        choices=("auto", "cuda", "mps", "cpu"),
        help="where the network runs (auto: the best there is)",
    )


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add the options that name labeled images: a folder, or two folders."""
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        help="a data set: images/ and labels/ (or masks/), or one of the other layouts",
    )
    parser.add_argument("--images", type=Path, metavar="DIR", help="a folder of images, and")
    parser.add_argument("--labels", type=Path, metavar="DIR", help="one of label files by name")
    parser.add_argument(
        "--layout",
        metavar="NAME",
        help="of the folder: synapse, acdc, coco, voc … (found by itself); see the user guide",
    )
    parser.add_argument(
        "--ignore",
        type=int,
        action="append",
        default=[],
        metavar="VALUE",
        help="label whose pixels are neither learned nor scored, such as 255; several times",
    )
    parser.add_argument(
        "--colors", type=Path, metavar="FILE", help="classes of colored masks: lines name,r,g,b"
    )


def add_axes(parser: argparse.ArgumentParser) -> None:
    """Add the options --axes and --channels."""
    parser.add_argument("--axes", help="a letter per axis, such as ZYX or CYX; default: guessed")
    parser.add_argument(
        "--channels",
        type=_channels,
        help="the channel for each input, such as 2,0,1; none leaves an input empty",
    )


def add_reading(parser: argparse.ArgumentParser, labels: bool = False) -> None:
    """Add the options for files that can be read in several ways."""
    parser.add_argument(
        "--slices",
        choices=PLANES,
        help="plane in which a volume is sliced; default: axial, of DICOM as it was acquired",
    )
    parser.add_argument("--series", help="of a DICOM folder: its number, description or UID")
    parser.add_argument(
        "--level",
        type=int,
        metavar="N",
        help="of an image in several resolutions (slides, OME-Zarr); default: 0, the finest",
    )
    parser.add_argument("--image-key", metavar="NAME", help="array of HDF5 and NPZ files")
    if labels:
        parser.add_argument("--label-key", metavar="NAME", help="the same for the labels")


def reading_options(args: argparse.Namespace) -> ReadOptions:
    """Return the choices of the user where a file can be read in several ways."""
    label_key = getattr(args, "label_key", None)
    return ReadOptions(args.slices, args.series, args.image_key, label_key, args.level)


def add_spacing(parser: argparse.ArgumentParser) -> None:
    """Add the options --spacing and --unit, which replace what the files contain."""
    parser.add_argument(
        "--spacing",
        type=_spacing,
        metavar="[Z,]Y,X",
        help="size of a pixel, such as 0.5,0.5 or one number for all; default: from the images",
    )
    parser.add_argument("--unit", help="of --spacing, such as µm")


def check_spacing(args: argparse.Namespace) -> None:
    """Refuse one of --spacing and --unit without the other."""
    if bool(args.spacing) != bool(args.unit):
        raise UsageError("--spacing and --unit go together, such as --spacing 0.5,0.5 --unit µm.")


def add_network(parser: argparse.ArgumentParser) -> None:
    """Add the options of commands that run a network: checkpoint, axes, channels, device."""
    add_settings_file(parser)
    parser.add_argument("--checkpoint", type=Path, help="default: the bundled one")
    add_settings(parser)
    add_axes(parser)
    add_device(parser)
    parser.add_argument("--tile", type=int, default=512, help="side in pixels (512)")
    parser.add_argument("--overlap", type=float, default=0.25, help="share of a tile (0.25)")
    parser.add_argument(
        "--full-precision", action="store_true", help="float32 where half is faster"
    )


def add_inference(parser: argparse.ArgumentParser) -> None:
    """Add the options of commands that segment images."""
    add_network(parser)
    parser.add_argument("--batch", type=int, help="tiles at once; default: by the device")
    parser.add_argument("--threshold", type=float, default=0.5, help="of a binary network (0.5)")
    parser.add_argument(
        "--stretch", action="store_true", help="stretch probabilities to 0 … 1 as published"
    )
    parser.add_argument("--fill-holes", type=int, default=0, help="largest hole, in pixels")
    parser.add_argument("--smallest-object", type=int, default=0, help="in pixels")
    parser.add_argument("--largest-component", action="store_true", help="keep one area per class")


def inference_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options for `napari_emcad.segment`.

    Raises
    ------
    UsageError
        If one of them is out of bounds.
    """
    from napari_emcad.imaging.regions import CleanUp
    from napari_emcad.inference.events import InferenceSettings

    values = vars(args)
    clean_up = {f.name: values[f.name] for f in fields(CleanUp) if f.name in values}
    options = {name: values[name] for name in _INFERENCE}
    options["clean_up"] = as_usage_error(CleanUp, **clean_up)
    settings = {name: value for name, value in options.items() if name != "channels"}
    as_usage_error(InferenceSettings, **settings)
    return options


def load_checkpoint(path: Path | None, settings: Settings) -> Checkpoint:
    """Return a checkpoint with changed settings; the bundled one if `path` is None.

    Raises
    ------
    UsageError
        If it cannot be opened, or a setting is invalid.
    """
    from napari_emcad.io.checkpoints.files import bundled_checkpoint, read_checkpoint

    if path is not None:
        return as_usage_error(read_checkpoint, path, **dict(settings))
    return as_usage_error(bundled_checkpoint().override, **dict(settings))


def load_segmentation_model(path: Path | None, settings: Settings) -> SegmentationModel:
    """Return a checkpoint as `load_checkpoint` does, or the instant model in a file.

    Raises
    ------
    UsageError
        If it cannot be opened, or a setting is invalid; instant models have none.
    """
    from napari_emcad.io.checkpoints.read_model import read_model

    if path is None:
        return load_checkpoint(path, settings)
    return as_usage_error(read_model, path, **dict(settings))


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    return name.strip(), parse_value(value)


def _channels(text: str) -> tuple[int | None, ...]:
    try:
        return tuple(
            None if channel.strip() in _EMPTY_CHANNEL else int(channel)
            for channel in text.split(",")
        )
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list such as 2,0,1") from None


def _spacing(text: str) -> dict[str, float]:
    """Return the size of a pixel by axis; one number is for all axes, two are for Y and X."""
    try:
        sizes = [float(number) for number in text.split(",")]
    except ValueError:
        sizes = []
    if not 1 <= len(sizes) <= 3 or not all(0 < size < math.inf for size in sizes):
        raise argparse.ArgumentTypeError(f"{text!r} is not one to three sizes such as 0.5,0.5")
    sizes = sizes * 3 if len(sizes) == 1 else sizes
    return dict(zip("ZYX"[-len(sizes) :], sizes, strict=True))
