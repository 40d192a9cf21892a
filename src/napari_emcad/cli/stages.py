"""``napari-emcad stages``: what a network does inside, as maps and a sheet to look at."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_emcad.cli.console import (
    UsageError,
    as_usage_error,
    print_result,
    print_status,
    show_progress,
)
from napari_emcad.cli.options import add_network, check_outputs, load_checkpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_emcad.imaging.slices import Index
    from napari_emcad.inference.stage_maps.keys import MapKey, StageMap
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.io.images.opened_image import OpenedImage
    from napari_emcad.io.reports.stage_sheet import StageSheet
    from napari_emcad.pipelines.stage_maps import StageMaps

_ADVICE = " Use --axes and --channels."
_RUNNING = ("device", "channels", "tile", "overlap", "full_precision", "temperature")
_ATTENTION = "channel_attention.csv"


def add_parser(verbs: Any) -> None:
    """Add the verb."""
    stages = verbs.add_parser("stages", help="see inside: maps of every stage, and a sheet")
    stages.add_argument("image", type=Path, metavar="IMAGE", help="an image file")
    stages.add_argument(
        "--output", type=Path, default=Path(), metavar="DIR", help="a folder (the current one)"
    )
    stages.add_argument(
        "--maps",
        type=_names,
        default=("all",),
        metavar="NAME,…",
        help="kinds (gate), kinds of a stage (gate:2), of a class (probability:4:1), channels "
        "(decoder:1:17), flips; default: all but flips",
    )
    stages.add_argument("--class", dest="only", help="name or number; default: every class")
    stages.add_argument(
        "--slice", type=_index, help="of a stack, counted from 0; such as 3, or 2,3 for TZYX"
    )
    stages.add_argument(
        "--temperature", type=float, default=1.0, help="of entropy, disagreement and flips (1)"
    )
    stages.add_argument("--overwrite", action="store_true", help="replace files that are there")
    add_network(stages)
    stages.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Compute the maps of one slice, write each, and draw the sheet."""
    from napari_emcad.io.images.read import read_image
    from napari_emcad.io.reports.stage_sheet import StageSheet

    checkpoint = load_checkpoint(args.checkpoint, args.set)
    keys = _keys(args.maps, args.only, checkpoint)
    image = as_usage_error(read_image, args.image)
    if image.note:
        print_status(image.note)
    inside = _inspection(args, checkpoint, keys, image)
    index = _chosen_slice(inside, args.slice, args.image)
    stem = "_".join([args.image.stem, *map(str, index)])
    sheet = args.output / f"{stem}_stages.png"
    targets = _targets(args.output, stem, keys)
    own = [args.checkpoint] if args.checkpoint is not None else []
    written = dict.fromkeys([*targets.values(), sheet])
    check_outputs(written, [args.image, *own], args.overwrite)
    found = as_usage_error(inside.__getitem__, index).values()
    maps = [each if inside.rows_first else each.turned() for each in found]
    _write(maps, targets, image)
    title = f"{args.image.name} - {checkpoint.title}"
    names = _class_names(checkpoint)
    _draw(sheet, StageSheet(title, inside.picture(index), inside.size, (0, 0), maps, names))


def _keys(names: tuple[str, ...], only: str | None, checkpoint: Checkpoint) -> tuple[MapKey, ...]:
    """Return the maps, those of classes for the one that was chosen."""
    from dataclasses import replace

    from napari_emcad.inference.stage_maps.keys import OF_CLASSES, parse_map_keys

    keys = as_usage_error(parse_map_keys, names, checkpoint.config)
    if only is None:
        return keys
    number = _class_number(only, checkpoint)
    keys = tuple(
        replace(k, part=number) if k.kind in OF_CLASSES and k.part is None else k for k in keys
    )
    return as_usage_error(parse_map_keys, keys, checkpoint.config)


def _class_names(checkpoint: Checkpoint) -> list[str]:
    return ["background", *(each.name for each in checkpoint.classes)]


def _class_number(said: str, checkpoint: Checkpoint) -> int:
    names = _class_names(checkpoint)
    if said.isdecimal() and int(said) < len(names):
        return int(said)
    if said in names:
        return names.index(said)
    listed = ", ".join(f"{number} {name}" for number, name in enumerate(names))
    raise UsageError(f"There is no class {said}; the classes are {listed}.")


def _inspection(
    args: argparse.Namespace,
    checkpoint: Checkpoint,
    keys: tuple[MapKey, ...],
    image: OpenedImage,
) -> StageMaps:
    from napari_emcad.imaging.slices import AxesError
    from napari_emcad.inference.events import Notice, Progress
    from napari_emcad.pipelines.stage_maps import stage_maps

    def print_result(event: object) -> None:
        if isinstance(event, Progress):
            last = event.done == event.total
            show_progress(f"{args.image.name}: {event.done} of {event.total}", last=last)
        elif isinstance(event, Notice):
            print_status(event.text)

    options = {name: getattr(args, name) for name in _RUNNING}
    axes = args.axes or image.axes
    try:
        return stage_maps(image.pixels, checkpoint, keys, axes, on_event=print_result, **options)
    except (ValueError, TypeError) as error:
        advice = _ADVICE if isinstance(error, AxesError) else ""
        raise UsageError(f"{args.image}: {error}{advice}") from error


def _chosen_slice(inside: StageMaps, index: Index | None, image: Path) -> Index:
    axes, last = inside.stacked_axes, inside.indices[len(inside) - 1]
    if index is None and len(inside) == 1:
        return last
    if (
        index is None
        or len(index) != len(axes)
        or any(i > n for i, n in zip(index, last, strict=True))
    ):
        ranges = ", ".join(f"{a} 0 … {n}" for a, n in zip(axes, last, strict=True))
        has = f"is a stack of {ranges}" if axes else "has no slices"
        what = (
            f"choose one, as in --slice {','.join('0' * len(axes))}"
            if axes
            else "leave out --slice"
        )
        raise UsageError(f"{image} {has}; {what}.")
    return index


def _targets(folder: Path, stem: str, keys: tuple[MapKey, ...]) -> dict[MapKey, Path]:
    """Return the file of each map; channel attention has one for all stages."""
    from napari_emcad.io.reports.stage_tiffs import stage_map_file_name

    attention = folder / f"{stem}_{_ATTENTION}"
    return {
        k: attention if k.kind == "channel" else folder / stage_map_file_name(stem, k) for k in keys
    }


def _write(maps: Sequence[StageMap], targets: dict[MapKey, Path], image: OpenedImage) -> None:
    from napari_emcad.io.reports.stage_tiffs import write_channel_attention, write_stage_map

    attention = [each for each in maps if each.factor is None]
    for each in maps:
        target = targets[each.key]
        if each.factor is not None:
            as_usage_error(write_stage_map, target, each, image.scale, image.unit)
            print_result(str(target))
    if attention:
        target = targets[attention[0].key]
        as_usage_error(write_channel_attention, target, attention)
        print_result(str(target))


def _draw(target: Path, view: StageSheet) -> None:
    from napari_emcad.io.images.write import write_array
    from napari_emcad.io.reports.stage_sheet import draw_stage_sheet

    as_usage_error(write_array, target, draw_stage_sheet(view), "YXC")
    print_result(str(target))


def _names(text: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in text.split(",") if each.strip())


def _index(text: str) -> Index:
    try:
        index = tuple(int(each) for each in text.split(","))
    except ValueError:
        index = (-1,)
    if min(index) < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no position such as 3 or 2,3")
    return index
