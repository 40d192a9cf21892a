"""``napari-emcad export``: write a checkpoint as a file for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_emcad.cli.console import UsageError, as_usage_error, print_result, print_status
from napari_emcad.cli.options import add_settings, load_segmentation_model
from napari_emcad.cli.outputs import check_outputs

if TYPE_CHECKING:
    import argparse


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("export", help="a checkpoint for other programs, such as ONNX")
    parser.add_argument("model", type=Path, nargs="?", help="default: the bundled one")
    parser.add_argument("--format", required=True, choices=("onnx", "torch", "bioimageio"))
    parser.add_argument(
        "--output",
        required=True,
        type=Path,
        metavar="FILE",
        help=".onnx, .pt2 for torch, .zip for bioimageio",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    parser.add_argument(
        "--author", action="append", default=[], help="of a bioimageio package; several times"
    )
    parser.add_argument("--license", metavar="SPDX", help="of the weights, such as CC-BY-4.0")
    add_settings(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Write a checkpoint in the chosen format."""
    from napari_emcad.pipelines import export

    package = args.format == "bioimageio"
    if not package and (args.author or args.license):
        raise UsageError("--author and --license are for --format bioimageio.")
    check_outputs([args.output], [args.model] if args.model else [], args)
    model = load_segmentation_model(args.model, args.set)
    print_status("This takes a minute or two.")
    if package:
        options = {"authors": args.author, "license": args.license}
        as_usage_error(export.export_bioimageio, model, args.output, **options)
    else:
        write = export.export_onnx if args.format == "onnx" else export.export_program
        as_usage_error(write, model, args.output)
    print_result(str(args.output))
