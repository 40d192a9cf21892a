"""``napari-emcad measure``: a table of the objects of a label file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_emcad.cli.console import as_usage_error, print_result, print_status
from napari_emcad.cli.images import open_image
from napari_emcad.cli.options import add_reading, add_spacing, check_spacing, reading_options
from napari_emcad.cli.outputs import check_outputs

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from napari_emcad.io.images.opened_image import OpenedImage
    from napari_emcad.pipelines.object_table import ObjectTable


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("measure", help="a table of the objects of a label file")
    parser.add_argument("labels", type=Path, metavar="LABELS", help="a label file")
    parser.add_argument("--image", type=Path, help="the image, for the intensities of objects")
    parser.add_argument(
        "--probabilities", type=Path, metavar="FILE", help="written by segment --probabilities"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="a CSV file; default: the terminal"
    )
    parser.add_argument("--axes", help="a letter per axis of the labels, such as TYX")
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    add_spacing(parser)
    add_reading(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Measure the objects, and print or write the table."""
    check_spacing(args)
    if args.output is not None:
        inputs = [one for one in (args.labels, args.image, args.probabilities) if one is not None]
        check_outputs([args.output], inputs, args)
    image = None if args.image is None else open_image(args.image, reading_options(args), args.axes)
    labels, axes, opened = _labels(args, image)
    probabilities = None if args.probabilities is None else _probabilities(args.probabilities)
    table = measure_labels(labels, axes, image, opened, args, probabilities)
    if args.output is None:
        print_result(table.to_csv().rstrip("\n"))
    else:
        write_table(table.to_csv(), args.output)
        print_result(str(args.output))


def measure_labels(
    labels: NDArray[Any],
    axes: str | None,
    image: OpenedImage | None,
    sized: OpenedImage,
    args: argparse.Namespace,
    probabilities: NDArray[Any] | None = None,
    classes: Mapping[int, str] | None = None,
) -> ObjectTable:
    """Return the table of the objects of labels.

    Parameters
    ----------
    labels, axes, probabilities, classes
        See `napari_emcad.measure`.
    image
        Image of the labels.
    sized
        File that contains the size of a pixel, if the image does not.
    args
        Command line; its spacing replaces the sizes of the files.

    Raises
    ------
    UsageError
        If something does not fit.
    """
    from napari_emcad.pipelines.measure import measure

    source = image if image is not None and image.scale else sized
    spacing = getattr(args, "spacing", None)
    return as_usage_error(
        measure,
        labels,
        None if image is None else _channels_last(image, labels.shape, args.axes),
        axes,
        scale=spacing or source.scale,
        unit=args.unit if spacing else source.unit,
        probabilities=probabilities,
        classes=classes,
    )


def _channels_last(
    image: OpenedImage, shape: tuple[int, ...] | None, axes: str | None = None
) -> NDArray[Any]:
    """Return the pixels of an image with its channels, if it has some, as the last axis.

    Parameters
    ----------
    image
        The image.
    shape
        Shape of its labels; an image of this shape has no channels.
    axes
        Letters of its axes on the command line.
    """
    import numpy as np

    from napari_emcad.imaging.axes import guess_axes

    pixels = np.asarray(image.pixels)
    if pixels.shape == shape:
        return pixels
    letters = image.axes or axes or ""
    if len(letters) != pixels.ndim:
        letters = as_usage_error(guess_axes, pixels.shape)
    return np.moveaxis(pixels, letters.index("C"), -1) if "C" in letters else pixels


def write_table(text: str, path: Path) -> None:
    """Write a CSV file atomically.

    Raises
    ------
    UsageError
        If it cannot be written.
    """
    from napari_emcad.io.atomic_write import write_bytes

    as_usage_error(write_bytes, path, text.encode("utf-8"))


def _labels(
    args: argparse.Namespace, image: OpenedImage | None
) -> tuple[NDArray[Any], str | None, OpenedImage]:
    """Return labels, their axes as far as they are known, and the opened file."""
    from napari_emcad.io.images.labels import open_labels
    from napari_emcad.io.images.read import read_image

    options = reading_options(args)
    opened = as_usage_error(read_image, args.labels, replace(options, as_labels=True))
    shape = None if image is None else _spatial_shape(image, args.axes)
    read = as_usage_error(open_labels, args.labels, shape, image, options)
    if read.note:
        print_status(read.note)
    axes = args.axes or (opened.axes or "").replace("C", "") or None
    if not args.axes and axes is not None and len(axes) != read.pixels.ndim:
        axes = None
    return read.pixels, axes, opened


def _spatial_shape(image: OpenedImage, axes: str | None) -> tuple[int, ...] | None:
    """Return the shape of an image without its channels; None if its axes are not known."""
    letters = image.axes or axes or ""
    if len(letters) != len(image.pixels.shape):
        return None
    sizes = zip(letters, image.pixels.shape, strict=True)
    return tuple(size for letter, size in sizes if letter != "C")


def _probabilities(path: Path) -> NDArray[Any]:
    """Return the probabilities in a file, classes first."""
    import numpy as np

    opened = open_image(path)
    pixels = np.asarray(opened.pixels)
    axes = opened.axes or ""
    return np.moveaxis(pixels, axes.index("C"), 0) if "C" in axes else pixels
