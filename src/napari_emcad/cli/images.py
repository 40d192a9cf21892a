"""Opening an image and computing on it, with notes and progress on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_emcad.cli.console import (
    UsageError,
    as_usage_error,
    print_message,
    print_status,
    show_progress,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_emcad.io.images.opened_image import OpenedImage
    from napari_emcad.io.images.read_options import ReadOptions

AXES_ADVICE = " Use --axes and --channels."


def open_image(
    path: Path, options: ReadOptions | None = None, axes: str | None = None
) -> OpenedImage:
    """Read an image file, and print the note about it.

    Parameters
    ----------
    path, options
        As for `napari_emcad.io.images.read.read_image`.
    axes
        Axes that are used instead of those of the file, or None.

    Raises
    ------
    UsageError
        If it cannot be read.
    """
    from napari_emcad.io.images.read import read_image

    image = as_usage_error(read_image, path, options)
    if remark := image.remark(axes):
        print_status(remark)
    return image


def event_printer(name: str) -> Callable[[object], None]:
    """Return a callback that prints progress and notices of a computation on the named image."""
    from napari_emcad.inference.events import Notice, Progress, RangeNotice

    def print_event(event: object) -> None:
        if isinstance(event, Progress):
            show_progress(f"{name}: {event.done} of {event.total}", last=event.done == event.total)
        elif isinstance(event, RangeNotice):
            print_message(f"{name}: {event.text}")
        elif isinstance(event, Notice):
            print_status(event.text)

    return print_event


def image_error(name: str, error: Exception) -> UsageError:
    """Return a usage error that names the image, with advice if its axes are the problem."""
    from napari_emcad.imaging.axes import AxesError

    return UsageError(f"{name}: {error}{AXES_ADVICE if isinstance(error, AxesError) else ''}")
