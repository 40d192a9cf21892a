"""``napari-emcad convert``: convert checkpoints from published to native format and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_emcad.cli.console import as_usage_error, print_result, print_status
from napari_emcad.cli.options import add_settings, load_checkpoint
from napari_emcad.cli.outputs import check_outputs

if TYPE_CHECKING:
    import argparse


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("convert", help="published to native format and back")
    parser.add_argument("input", type=Path, metavar="IN")
    parser.add_argument("output", type=Path, metavar="OUT", help=".safetensors or .pth")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    parser.add_argument("--half", action="store_true", help="store weights as float16")
    add_settings(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Write a checkpoint in the format of the output's extension."""
    from napari_emcad.io.checkpoints.files import write_checkpoint

    check_outputs([args.output], [args.input], args)
    checkpoint = load_checkpoint(args.input, args.set)
    as_usage_error(write_checkpoint, checkpoint, args.output, args.half)
    if args.output.suffix.lower() != ".safetensors":
        print_status("The published format does not store classes, preprocessing and history.")
    print_result(str(args.output))
