"""``napari-emcad convert``: published to native format and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_emcad.cli.console import as_usage_error, print_result, print_status
from napari_emcad.cli.options import add_set, check_outputs, load_checkpoint

if TYPE_CHECKING:
    import argparse


def add_parser(verbs: Any) -> None:
    """Add the verb."""
    convert = verbs.add_parser("convert", help="published to native format and back")
    convert.add_argument("input", type=Path, metavar="IN")
    convert.add_argument("output", type=Path, metavar="OUT", help=".safetensors or .pth")
    convert.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    convert.add_argument("--half", action="store_true", help="store weights as float16")
    add_set(convert)
    convert.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Write a checkpoint in the format of the output's name."""
    from napari_emcad.io.checkpoints.files import write_checkpoint

    check_outputs([args.output], [args.input], args.overwrite)
    checkpoint = load_checkpoint(args.input, args.set)
    as_usage_error(write_checkpoint, checkpoint, args.output, args.half)
    if args.output.suffix.lower() != ".safetensors":
        print_status("Classes, preprocessing and history have no place in the published format.")
    print_result(str(args.output))
