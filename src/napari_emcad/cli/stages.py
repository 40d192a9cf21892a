"""``napari-emcad stages``: write maps of a network's stages, and a contact sheet of them."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_emcad.cli.console import UsageError, as_usage_error, print_result
from napari_emcad.cli.images import event_printer, image_error, open_image
from napari_emcad.cli.options import add_network, add_reading, load_checkpoint, reading_options
from napari_emcad.cli.outputs import check_outputs
from napari_emcad.io.images.file_names import stem_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_emcad.imaging.slices import Index
    from napari_emcad.inference.stage_maps.keys import MapKey, StageMap
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.io.images.opened_image import OpenedImage
    from napari_emcad.pipelines.stage_maps import StageMaps

_NETWORK_OPTIONS = ("device", "channels", "tile", "overlap", "full_precision", "temperature")
_CHANNEL_ATTENTION = "channel_attention.csv"


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("stages", help="see inside: maps of every stage, and a sheet")
    parser.add_argument("image", type=Path, metavar="IMAGE", help="an image file")
    parser.add_argument(
        "--output", type=Path, default=Path(), metavar="DIR", help="a folder (the current one)"
    )
    parser.add_argument(
        "--maps",
        type=_comma_separated,
        default=("all",),
        metavar="NAME,…",
        help="kinds (gate), kinds of a stage (gate:2), of a class (probability:4:1), channels "
        "(decoder:1:17), flip_disagreement; default: all but flip_disagreement",
    )
    parser.add_argument("--class", dest="only_class", help="name or number; default: every class")
    parser.add_argument(
        "--slice", type=_index, help="of a stack, counted from 0; such as 3, or 2,3 for TZYX"
    )
    parser.add_argument(
        "--temperature", type=float, default=1.0, help="of entropy and disagreement (1)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    add_network(parser)
    add_reading(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Compute the maps of one slice, write them, and draw the contact sheet."""
    checkpoint = load_checkpoint(args.checkpoint, args.set)
    keys = _map_keys(args.maps, args.only_class, checkpoint)
    image = open_image(args.image, reading_options(args), args.axes)
    stage_maps = _stage_maps(args, checkpoint, keys, image)
    index = _chosen_slice(stage_maps, args.slice, args.image)
    stem = "_".join([stem_of(args.image), *map(str, index)])
    sheet_file = args.output / f"{stem}_stages.png"
    map_files = _map_files(args.output, stem, keys)
    check_outputs(dict.fromkeys([*map_files.values(), sheet_file]), [args.image], args)
    slice_maps = as_usage_error(stage_maps.__getitem__, index).values()
    maps = [m if stage_maps.rows_first else m.transpose() for m in slice_maps]
    _write_maps(maps, map_files, image)
    title = f"{args.image.name} - {checkpoint.title}"
    _write_sheet(sheet_file, title, stage_maps, index, maps, checkpoint)


def _map_keys(
    names: tuple[str, ...], only_class: str | None, checkpoint: Checkpoint
) -> tuple[MapKey, ...]:
    """Return the keys of the maps; those of all classes are replaced by those of one class."""
    from napari_emcad.inference.stage_maps.keys import parse_map_keys

    keys = as_usage_error(parse_map_keys, names, checkpoint.config)
    if only_class is None:
        return keys
    number = _class_number(only_class, checkpoint)
    keys = tuple(
        replace(key, part=number) if key.spec.group == "class" and key.part is None else key
        for key in keys
    )
    return as_usage_error(parse_map_keys, keys, checkpoint.config)


def _class_number(text: str, checkpoint: Checkpoint) -> int:
    """Return the number of a class that is given by its number or its name."""
    names = _class_names(checkpoint)
    if text.isdecimal() and int(text) < len(names):
        return int(text)
    if text in names:
        return names.index(text)
    numbered = ", ".join(f"{number} {name}" for number, name in enumerate(names))
    raise UsageError(f"There is no class {text}; the classes are {numbered}.")


def _class_names(checkpoint: Checkpoint) -> list[str]:
    return ["background", *(label.name for label in checkpoint.classes)]


def _stage_maps(
    args: argparse.Namespace,
    checkpoint: Checkpoint,
    keys: tuple[MapKey, ...],
    image: OpenedImage,
) -> StageMaps:
    """Return the maps of all slices, which are computed when they are accessed."""
    from napari_emcad.pipelines.stage_maps import stage_maps

    options = {name: getattr(args, name) for name in _NETWORK_OPTIONS}
    options["on_event"] = event_printer(args.image.name)
    try:
        return stage_maps(image.pixels, checkpoint, keys, args.axes or image.axes, **options)
    except (ValueError, TypeError) as error:
        raise image_error(str(args.image), error) from error


def _chosen_slice(stage_maps: StageMaps, index: Index | None, image: Path) -> Index:
    """Return the index of the slice that --slice names, or of the only slice."""
    axes, last = stage_maps.stacked_axes, stage_maps.indices[len(stage_maps) - 1]
    if index is None and len(stage_maps) == 1:
        return last
    if index is not None and len(index) == len(axes) and _is_within(index, last):
        return index
    if not axes:
        raise UsageError(f"{image} has no slices; leave out --slice.")
    ranges = ", ".join(f"{axis} 0 … {number}" for axis, number in zip(axes, last, strict=True))
    example = ",".join("0" * len(axes))
    raise UsageError(f"{image} is a stack of {ranges}; choose one, as in --slice {example}.")


def _is_within(index: Index, last: Index) -> bool:
    return all(i <= n for i, n in zip(index, last, strict=True))


def _map_files(folder: Path, stem: str, keys: tuple[MapKey, ...]) -> dict[MapKey, Path]:
    """Return the file of every map; channel attention of all stages shares a table."""
    from napari_emcad.io.reports.stage_tiffs import stage_map_file_name

    table = folder / f"{stem}_{_CHANNEL_ATTENTION}"
    return {
        key: folder / stage_map_file_name(stem, key) if key.spec.has_place else table
        for key in keys
    }


def _write_maps(maps: Sequence[StageMap], files: dict[MapKey, Path], image: OpenedImage) -> None:
    from napari_emcad.io.reports.stage_tiffs import write_channel_attention, write_stage_map

    for stage_map in maps:
        if stage_map.factor is not None:
            path = files[stage_map.key]
            as_usage_error(write_stage_map, path, stage_map, image.scale, image.unit)
            print_result(str(path))
    channel_attention = [m for m in maps if m.factor is None]
    if channel_attention:
        path = files[channel_attention[0].key]
        as_usage_error(write_channel_attention, path, channel_attention)
        print_result(str(path))


def _write_sheet(
    path: Path,
    title: str,
    stage_maps: StageMaps,
    index: Index,
    maps: Sequence[StageMap],
    checkpoint: Checkpoint,
) -> None:
    from napari_emcad.io.images.write import write_array
    from napari_emcad.io.reports.stage_sheet import StageSheet, draw_stage_sheet

    picture, names = stage_maps.picture(index), _class_names(checkpoint)
    sheet = StageSheet(title, picture, stage_maps.size, (0, 0), maps, names)
    as_usage_error(write_array, path, draw_stage_sheet(sheet), "YXC")
    print_result(str(path))


def _comma_separated(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _index(text: str) -> Index:
    try:
        index = tuple(int(number) for number in text.split(","))
    except ValueError:
        index = (-1,)
    if min(index) < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a position such as 3 or 2,3")
    return index
