"""Command-line interface ``napari-emcad``: one module per subcommand."""

from __future__ import annotations

import argparse
import sys
import warnings
from io import TextIOWrapper
from typing import TYPE_CHECKING

from napari_emcad import __version__
from napari_emcad.cli import (
    benchmark,
    convert,
    demo,
    evaluate,
    export,
    info,
    measure,
    segment,
    stages,
    train,
)
from napari_emcad.cli.console import UsageError, print_message
from napari_emcad.cli.settings_option import with_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

_SUBCOMMANDS = (info, segment, measure, stages, evaluate, train, convert, export, demo, benchmark)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments
        Arguments after the name of the program; None takes those of the process.

    Returns
    -------
    int
        Exit status: 0 for success, 2 for a usage error, 1 for another failure, 130 if interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # some terminals cannot print all characters
            stream.reconfigure(errors="replace")
    parser, arguments = _parser(), sys.argv[1:] if arguments is None else arguments
    args = parser.parse_args(arguments)
    try:
        if getattr(args, "settings", None) is not None:
            args = parser.parse_args(with_settings(arguments, args))
        with warnings.catch_warnings():
            _ignore_range_warnings()
            return int(args.run(args) or 0)
    except UsageError as error:
        print_message(str(error))
        return 2
    except MemoryError as error:
        print_message(str(error) or "memory ran out")
        return 1
    except KeyboardInterrupt:
        print_message("interrupted; files that were complete stay.")
        return 130
    except OSError as error:
        print_message(str(error))
        return 1


def _ignore_range_warnings() -> None:
    """Ignore the warnings about the range of images: the terminal gets them as messages."""
    from napari_emcad.imaging.exposure import IntensityRangeWarning

    warnings.simplefilter("ignore", IntensityRangeWarning)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="napari-emcad", description="Segment images with PVT-EMCAD networks."
    )
    parser.add_argument("--version", action="version", version=f"napari-emcad {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for subcommand in _SUBCOMMANDS:
        subcommand.add_parser(subparsers)
    return parser
