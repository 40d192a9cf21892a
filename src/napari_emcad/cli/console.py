"""What the terminal hears: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import os
import sys
import time
import unicodedata
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


_QUIET_S = 30.0
"""A log without a line for longer seems to be of something that hangs."""


class UsageError(Exception):
    """Something the user asked for cannot be; the message says what to do."""


def as_usage_error(work: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
    """Return what `work` returns; what it refuses is the user's mistake.

    Raises
    ------
    Mistake
        With the words of the ValueError, TypeError or OSError that was raised.
    """
    try:
        return work(*given, **named)
    except (ValueError, TypeError, OSError) as error:
        raise UsageError(str(error)) from error


def print_result(text: str) -> None:
    """Print a line of the result; whoever has read enough of it does not end the work."""
    if sys.stdout is None:
        return
    try:
        print(plain(text), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_status(text: str) -> None:
    """Say something that is not the result."""
    if sys.stderr is not None:
        print(plain(text), file=sys.stderr)


def plain(text: str) -> str:
    """Return words without what would command a terminal; names in files may hold it."""
    return "".join(each for each in text if each in "\n\t" or unicodedata.category(each) != "Cc")


def show_progress(text: str, last: bool) -> None:
    """Show progress: on a terminal in one line, else only the end."""
    if sys.stderr is None:
        return
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="\n" if last else "", file=sys.stderr, flush=True)
    elif last:
        print_status(text)


class ProgressLine:
    """Progress of what takes long: beside a terminal's line, a line in a log now and then.

    Parameters
    ----------
    every
        Seconds between two lines where standard error is no terminal.
    """

    def __init__(self, every: float = _QUIET_S) -> None:
        self._every, self._said = every, time.monotonic()

    def show_progress(self, text: str) -> None:
        """Show how far the work is."""
        now = time.monotonic()
        due = now - self._said >= self._every
        show_progress(text, last=due and sys.stderr is not None and not sys.stderr.isatty())
        self._said = now if due else self._said


def print_json(content: Any) -> None:
    """Print one JSON object as the result."""
    print_result(json.dumps(content, indent=2))
