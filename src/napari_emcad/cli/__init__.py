"""The same verbs from a terminal, one in each file."""

from __future__ import annotations

import argparse
import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING

from napari_emcad import __version__
from napari_emcad.cli import convert, demo, evaluate, info, segment, stages, train
from napari_emcad.cli.console import UsageError, print_status

if TYPE_CHECKING:
    from collections.abc import Sequence

_VERBS = (info, segment, stages, evaluate, train, convert, demo)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line.

    Parameters
    ----------
    arguments
        What follows the program's name; None takes those of the process.

    Returns
    -------
    int
        0 if all went well, 2 for a user's mistake, 1 for another failure, 130 if interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal without our letters still gets the rest
            stream.reconfigure(errors="replace")
    args = _parser().parse_args(arguments)
    try:
        return int(args.run(args) or 0)
    except UsageError as mistake:
        print_status(f"napari-emcad: {mistake}")
        return 2
    except MemoryError as error:
        print_status(f"napari-emcad: {str(error) or 'memory ran out'}")
        return 1
    except KeyboardInterrupt:
        print_status("napari-emcad: interrupted; files that were complete stay.")
        return 130
    except OSError as error:
        print_status(f"napari-emcad: {error}")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="napari-emcad", description="Segment images with PVT-EMCAD networks."
    )
    parser.add_argument("--version", action="version", version=f"napari-emcad {__version__}")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for verb in _VERBS:
        verb.add_parser(verbs)
    return parser
