"""``napari-emcad info``: describe a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_emcad.cli.console import print_json, print_result
from napari_emcad.cli.options import add_settings, load_checkpoint

if TYPE_CHECKING:
    import argparse


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("info", help="describe a checkpoint")
    parser.add_argument("checkpoint", type=Path, nargs="?", help="default: the bundled one")
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    add_settings(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print the model card of a checkpoint, or everything about it as JSON."""
    from napari_emcad.io.checkpoints.card import describe, model_card, usage_notes

    checkpoint = load_checkpoint(args.checkpoint, args.set)
    if args.json:
        print_json(describe(checkpoint))
        return
    print_result(checkpoint.title)
    for caption, text in model_card(checkpoint):
        for row, line in enumerate(text.splitlines()):
            print_result(f"  {caption if row == 0 else '':<12}{line}")
    for text in filter(None, (checkpoint.description, usage_notes(checkpoint))):
        print_result(f"\n{text}")
