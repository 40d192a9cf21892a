"""Output to the terminal: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from napari_emcad.io.plain_text import strip_control_characters

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

_LOG_INTERVAL_S = 30.0
"""A log file that gets no line for longer looks as if the program hangs."""


class UsageError(Exception):
    """The command line asks for something impossible; the message says what to do."""


def as_usage_error(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function, whose ValueError, TypeError and OSError become usage errors.

    Raises
    ------
    UsageError
        With the message of the original error.
    """
    try:
        return function(*args, **kwargs)
    except (ValueError, TypeError, OSError) as error:
        raise UsageError(str(error)) from error


def print_result(text: str) -> None:
    """Print a line of the result to stdout; a closed pipe, as of ``head``, is not an error."""
    if sys.stdout is None:
        return
    try:
        print(_printable(text), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_json(content: Any) -> None:
    """Print a JSON object as the result."""
    print_result(json.dumps(content, indent=2))


def print_status(text: str) -> None:
    """Print a line that is not part of the result to stderr."""
    if sys.stderr is not None:
        print(_printable(text), file=sys.stderr)


def print_message(text: str) -> None:
    """Print a message to the user to stderr, with the name of the program."""
    print_status(f"napari-emcad: {text}")


def show_progress(text: str, last: bool) -> None:
    """Show progress on stderr: on a terminal in one line, otherwise the last line only."""
    if sys.stderr is None:
        return
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="\n" if last else "", file=sys.stderr, flush=True)
    elif last:
        print_status(text)


class ProgressLine:
    """Progress of long tasks: on a terminal in one line, in a log file a line now and then.

    Parameters
    ----------
    interval
        Seconds between two lines where stderr is not a terminal.
    """

    def __init__(self, interval: float = _LOG_INTERVAL_S) -> None:
        self._interval, self._last_line = interval, time.monotonic()

    def show_progress(self, text: str) -> None:
        """Show how far the task is."""
        now = time.monotonic()
        due = now - self._last_line >= self._interval
        show_progress(text, last=due and sys.stderr is not None and not sys.stderr.isatty())
        if due:
            self._last_line = now


def _printable(text: str) -> str:
    """Return a text without control characters; undecodable bytes of file names become ``?``."""
    return strip_control_characters(text.encode(errors="replace").decode())
