"""``napari-emcad info``: what a checkpoint is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_emcad.cli.console import print_json, print_result
from napari_emcad.cli.options import add_set, load_checkpoint

if TYPE_CHECKING:
    import argparse


def add_parser(verbs: Any) -> None:
    """Add the verb."""
    info = verbs.add_parser("info", help="say what a checkpoint is")
    info.add_argument("checkpoint", type=Path, nargs="?", help="default: the bundled one")
    info.add_argument("--json", action="store_true", help="as one JSON object")
    add_set(info)
    info.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Say what a checkpoint is."""
    from napari_emcad.io.checkpoints.card import describe, model_card, usage_notes

    checkpoint = load_checkpoint(args.checkpoint, args.set)
    if args.json:
        print_json(describe(checkpoint))
        return
    print_result(checkpoint.title)
    for caption, value in model_card(checkpoint):
        for row, line in enumerate(value.splitlines()):
            print_result(f"  {caption if row == 0 else '':<12}{line}")
    for text in filter(None, (checkpoint.description, usage_notes(checkpoint))):
        print_result(f"\n{text}")
