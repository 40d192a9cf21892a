"""Files of settings in TOML: a table per command, with the options of the command line."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import tomli_w

from napari_emcad.io.atomic_write import write_bytes
from napari_emcad.training.settings import suggest_names

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

_MAX_BYTES = 1_000_000


class SettingsFileError(ValueError):
    """A file of settings cannot be used; the message says why."""


def read_settings(path: Path, command: str) -> dict[str, Any]:
    """Return the options of a command from a file, by name without dashes.

    A path in ``checkpoint`` is relative to the folder of the file.

    Parameters
    ----------
    path
        TOML file.
    command
        Name of the table, such as ``"segment"``.

    Raises
    ------
    SettingsFileError
        If the file is not TOML, or has no such table.
    OSError
        If it cannot be read.
    """
    if path.stat().st_size > _MAX_BYTES:
        raise SettingsFileError(f"{path} is too large for a file of settings.")
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsFileError(f"{path} is not a TOML file: {error}.") from None
    options = tables.get(command)
    if not isinstance(options, dict):
        found = ", ".join(f"[{name}]" for name, value in tables.items() if isinstance(value, dict))
        raise SettingsFileError(
            f"{path} has no settings for this command; they follow a line [{command}]"
            f"{f' (there is {found})' if found else ''}."
        )
    for name, value in options.items():
        _check(path, name, value)
    if "checkpoint" in options:
        options["checkpoint"] = str(path.parent / str(options["checkpoint"]))
    return options


def check_names(path: Path, command: str, names: Iterable[str], known: Collection[str]) -> None:
    """Refuse options that a command does not have.

    Parameters
    ----------
    path, command
        As for `read_settings`.
    names
        Names in the file.
    known
        Names of all options of the command that a file can have, without dashes before them.

    Raises
    ------
    SettingsFileError
        If an option is unknown; the message has similar names.
    """
    unknown = [name for name in names if name not in known]
    if unknown:
        noun = "option" if len(unknown) == 1 else "options"
        raise SettingsFileError(
            f"{path}: {command} has no {noun} {', '.join(unknown)}{suggest_names(unknown, known)}."
        )


def write_settings(path: Path, command: str, options: Mapping[str, Any]) -> None:
    """Write the options of a command; what the file contained before is replaced.

    Parameters
    ----------
    path, command
        As for `read_settings`.
    options
        Values by name without dashes: texts, numbers, booleans, lists of these, or a table.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    write_bytes(path, tomli_w.dumps({command: options}).encode())


def _check(path: Path, name: str, value: object) -> None:
    """Refuse values that no option can have, such as dates."""
    values = list(value.values()) if isinstance(value, dict) else [value]
    parts = [part for one in values for part in (one if isinstance(one, list) else [one])]
    if not all(isinstance(part, str | int | float) for part in parts):
        raise SettingsFileError(
            f"{path}: {name} must be a text, a number, true, false, or a list or table of these."
        )
