"""The option ``--settings``: a file with options of a command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_emcad.cli.console import UsageError, as_usage_error

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

_NOT_IN_FILES = ("run", "settings")


def add_settings_file(parser: argparse.ArgumentParser) -> None:
    """Add the option --settings."""
    command = parser.prog.rpartition(" ")[2]
    parser.add_argument(
        "--settings",
        type=Path,
        metavar="FILE",
        help=f"TOML file with options in a table [{command}]; those typed here count more",
    )


def with_settings(arguments: Sequence[str], args: argparse.Namespace) -> list[str]:
    """Return the arguments of a command with the options of its file of settings before them.

    Parameters
    ----------
    arguments
        The command's name and what follows.
    args
        The same, parsed; it has a path as ``settings``.

    Raises
    ------
    UsageError
        If the file cannot be used; the message says why.
    """
    from napari_emcad.io.settings_file import check_names, read_settings
    from napari_emcad.pipelines.as_code import option_texts

    command, path = arguments[0], args.settings
    options = as_usage_error(read_settings, path, command)
    known = {name.replace("_", "-"): one for name, one in vars(args).items()}
    known = {name: one for name, one in known.items() if name not in _NOT_IN_FILES}
    as_usage_error(check_names, path, command, options, known)
    _check_flags(options, known, path)
    words = [flag if value is None else f"{flag}={value}" for flag, value in option_texts(options)]
    return [command, *words, *arguments[1:]]


def _check_flags(options: Mapping[str, Any], parsed: Mapping[str, Any], path: Path) -> None:
    """Refuse true and false for options that take a value."""
    for name, value in options.items():
        if isinstance(value, bool) and not isinstance(parsed[name], bool):
            raise UsageError(f"{path}: {name} is {str(value).lower()}, but it takes a value.")
