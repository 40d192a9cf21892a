"""Checks of output files before any computation starts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from napari_emcad.cli.console import UsageError
from napari_emcad.io.atomic_write import resolve_links
from napari_emcad.io.images.file_names import is_zarr
from napari_emcad.io.plain_text import composed

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable
    from pathlib import Path

_LONGEST_NAME = 255
"""Longest file name in bytes."""


def check_outputs(
    outputs: Iterable[Path], inputs: Iterable[Path], args: argparse.Namespace
) -> None:
    """Refuse output files that cannot or must not be written.

    Parameters
    ----------
    outputs
        Files that will be written.
    inputs
        Files that will be read, besides the checkpoint; they are never overwritten.
    args
        Command line; ``--overwrite`` allows other files to be replaced.

    Raises
    ------
    UsageError
        If an output is an input, is a folder, exists and must not be replaced, is in a folder
        without write permission, or has too long a name.
    """
    checkpoint = getattr(args, "checkpoint", None)
    read = {resolve_links(path) for path in inputs}
    read |= {resolve_links(checkpoint)} if checkpoint is not None else set()
    for output in outputs:
        if resolve_links(output) in read:
            raise UsageError(f"{output} is one of the files that are read; choose another output.")
        _check_output(output, args.overwrite)


def _check_output(output: Path, overwrite: bool) -> None:
    if len(os.fsencode(output.name)) > _LONGEST_NAME:
        raise UsageError(f"{output} cannot be written: its name is too long.")
    if os.path.isdir(output) and not is_zarr(output):
        raise UsageError(f"{output} is a folder; name a file in it.")
    if _exists(output) and not overwrite:
        raise UsageError(f"{output} exists already; add --overwrite, or choose another output.")
    parent = next(path for path in resolve_links(output).parents if os.path.lexists(path))
    if not parent.is_dir():
        raise UsageError(f"{output} cannot be written: {parent} is not a folder.")
    if not os.access(parent, os.W_OK):
        raise UsageError(f"{output} cannot be written: no permission to write to {parent}.")


def _exists(output: Path) -> bool:
    """Whether a file of this name exists, in any of Unicode's forms of it."""
    if output.exists() or output.name.isascii() or not output.parent.is_dir():
        return output.exists()
    return composed(output.name) in {composed(name) for name in os.listdir(output.parent)}
