"""``napari-emcad segment``: segment images into label files."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_emcad.cli.console import (
    UsageError,
    as_usage_error,
    print_message,
    print_result,
    print_status,
)
from napari_emcad.cli.images import event_printer, image_error, open_image
from napari_emcad.cli.measure import measure_labels, write_table
from napari_emcad.cli.options import (
    add_inference,
    add_reading,
    inference_options,
    load_segmentation_model,
    reading_options,
)
from napari_emcad.cli.outputs import check_outputs
from napari_emcad.io.atomic_write import resolve_links
from napari_emcad.io.images.file_names import (
    LABEL_EXTENSIONS,
    extension_of,
    is_image_folder,
)
from napari_emcad.io.plain_text import composed

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from napari_emcad.io.images.opened_image import OpenedImage
    from napari_emcad.io.images.sources import ImageSource
    from napari_emcad.pipelines.object_table import ObjectTable
    from napari_emcad.pipelines.segment import Segmentation
    from napari_emcad.pipelines.segmentation_model import SegmentationModel


_OVERLAP = 0.25


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("segment", help="segment images into label files")
    parser.add_argument(
        "images", type=Path, nargs="+", metavar="IMAGE", help="image files, or folders of them"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(),
        help="a folder (for IMAGE_labels and its extension), or for one image a file",
    )
    parser.add_argument(
        "--format",
        choices=[extension[1:] for extension in LABEL_EXTENSIONS],
        help="of the labels; default: that of volumes and OME-Zarr, nii.gz for DICOM (dcm writes a "
        "DICOM segmentation), else tif",
    )
    parser.add_argument(
        "--probabilities", action="store_true", help="write IMAGE_probabilities.tif as well"
    )
    parser.add_argument(
        "--measure", type=Path, metavar="FILE", help="write a table of all objects as CSV as well"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    add_inference(parser)
    add_reading(parser)
    parser.add_argument(
        "--separate", action="store_true", help="number the objects, touching ones separately"
    )
    parser.add_argument(
        "--link",
        type=float,
        nargs="?",
        const=_OVERLAP,
        metavar="OVERLAP",
        help=f"with --separate: one number for objects of neighboring slices with this overlap, "
        f"intersection over union ({_OVERLAP})",
    )
    parser.add_argument(
        "--link-gap", type=int, default=0, metavar="N", help="slices that --link bridges (0)"
    )
    cluster = parser.add_mutually_exclusive_group()
    cluster.add_argument(
        "--workers", type=int, metavar="N", help="segment in N processes; goes on after a stop"
    )
    cluster.add_argument(
        "--scheduler", metavar="ADDRESS", help="of a running dask cluster, such as tcp://host:8786"
    )
    parser.add_argument("--neck", type=int, default=5, help="least pixels between centers (5)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Segment images one after another; one that fails is reported and skipped."""
    from napari_emcad.pipelines.object_table import joined_csv

    _check_link(args)
    if args.workers is not None or args.scheduler is not None:
        from napari_emcad.cli.segment_cluster import run_on_cluster

        return run_on_cluster(args, output_files(args))
    model = load_segmentation_model(args.checkpoint, args.set)
    options = inference_options(args)
    jobs = output_files(args)
    check_output_files(jobs, args)
    failed = 0
    tables: dict[str, ObjectTable] = {}
    try:
        for source, output in jobs:
            try:
                table = _segment_file(source, output, model, options, args)
            except UsageError as error:
                print_message(str(error))
                failed += 1
                continue
            if table is not None:
                tables[source.name] = table
            print_result(str(output))
    finally:  # also if it is interrupted
        if tables:
            write_table(joined_csv(tables), args.measure)
    if failed and len(jobs) > 1:
        print_message(f"{failed} of {len(jobs)} images were not segmented.")
    return 2 if failed else 0


def _segment_file(
    source: ImageSource,
    output: Path,
    model: SegmentationModel,
    options: dict[str, Any],
    args: argparse.Namespace,
) -> ObjectTable | None:
    """Segment an image into a file; return the table of its objects if there will be one."""
    from napari_emcad.pipelines.write_segmentation import write_segmentation

    options_of_series = replace(reading_options(args), series=source.series)
    image = open_image(source.path, options_of_series, args.axes)
    _check_format(image, output)
    axes = args.axes or image.axes
    result = segment_image(
        source.name, image, model, axes, probabilities=args.probabilities, **options
    )
    result = result if args.link is None else _linked(result, args)
    as_usage_error(write_segmentation, result, output, image)
    return None if args.measure is None else measure_result(result, image, args)


def _check_link(args: argparse.Namespace) -> None:
    """Refuse --link without --separate, and values that are out of bounds."""
    from napari_emcad.imaging.link_objects import LinkSettings

    if args.link is None and args.link_gap:
        raise UsageError("--link-gap is for --link; add it.")
    if args.link is not None:
        as_usage_error(LinkSettings, args.link, args.link_gap)
        if not args.separate:
            raise UsageError("--link links single objects; add --separate.")


def _linked(result: Segmentation, args: argparse.Namespace) -> Segmentation:
    """Return a stack whose objects have one number through the slices; other images as they are."""
    from napari_emcad.imaging.link_objects import link_axis, link_objects

    if len(result.axes) == 2:
        return result
    along = link_axis(result.axes)
    of_objects = result.summary.object_classes
    labels, first_numbers = link_objects(
        result.labels, result.axes, along, overlap=args.link, gap=args.link_gap, classes=of_objects
    )
    classes = tuple(of_objects[number - 1] for number in first_numbers)
    return replace(result, labels=labels, summary=replace(result.summary, object_classes=classes))


def segment_image(
    name: str,
    image: OpenedImage,
    model: SegmentationModel,
    axes: str | None = None,
    **options: Any,
) -> Segmentation:
    """Segment an image, with progress on the terminal.

    Raises
    ------
    UsageError
        If it cannot be segmented; the message names it.
    """
    from napari_emcad.pipelines.segment import segment

    try:
        return segment(image.pixels, model, axes, on_event=event_printer(name), **options)
    except (ValueError, TypeError) as error:
        raise image_error(name, error) from error


def _image_sources(args: argparse.Namespace) -> list[ImageSource]:
    """Return the images, also those in folders; a Zarr folder or a DICOM series is one image."""
    from napari_emcad.io.images.sources import find_images

    sources: list[ImageSource] = []
    for path in args.images:
        found = as_usage_error(find_images, path, args.series)
        for note in found.notes:
            print_status(note)
        sources += found.sources
    return sources


def is_output_file(output: Path) -> bool:
    """Whether an output is the file of one image rather than a folder."""
    has_extension = bool(output.suffix or extension_of(output))
    return is_image_folder(output) or (not os.path.isdir(output) and has_extension)


def output_files(args: argparse.Namespace) -> list[tuple[ImageSource, Path]]:
    """Return every image with the file for its labels."""
    sources, output, format_ = _image_sources(args), args.output, args.format
    if is_output_file(output):
        return [(sources[0], _output_file(sources, output, format_))]
    stems = [composed(source.stem) for source in sources]
    names = [
        source.stem if stems.count(stem) == 1 else source.name
        for source, stem in zip(sources, stems, strict=True)
    ]
    return [
        (source, output / f"{name}_labels{f'.{format_}' if format_ else source.label_extension}")
        for source, name in zip(sources, names, strict=True)
    ]


def _output_file(sources: Sequence[ImageSource], output: Path, format_: str | None) -> Path:
    """Return the file that the user names, which must have a known extension."""
    extension = extension_of(output)
    if extension not in LABEL_EXTENSIONS:
        raise UsageError(
            f"{output}: labels cannot be written as {extension}; use one of "
            f"{', '.join(LABEL_EXTENSIONS)}, or create the folder of this name first."
        )
    if len(sources) > 1:
        raise UsageError(f"{output} is one file for {len(sources)} images; name a folder.")
    if format_ is not None and extension != f".{format_}":
        raise UsageError(f"{output} does not end in .{format_}; leave out --format.")
    return output


def check_output_files(jobs: Sequence[tuple[ImageSource, Path]], args: argparse.Namespace) -> None:
    """Refuse outputs that cannot or must not be written; see `check_outputs`."""
    from napari_emcad.io.images.zarr_writer import labels_folder
    from napari_emcad.pipelines.write_segmentation import probabilities_file

    files = [output for _, output in jobs]
    outputs = [as_usage_error(labels_folder, output) for output in files]
    outputs += [args.measure] if args.measure is not None else []
    if args.probabilities:
        outputs += [probabilities_file(output) for output in files]
    if len({composed(str(resolve_links(output))) for output in outputs}) < len(outputs):
        raise UsageError("Two images have the same name; segment them into different folders.")
    check_outputs(outputs, [source.path for source, _ in jobs], args)


def _check_format(image: OpenedImage, output: Path) -> None:
    """Refuse a stack as PNG and a DICOM segmentation of another image, before it is segmented."""
    from napari_emcad.io.images.dicom.segmentation_writer import source_images

    if extension_of(output) == ".dcm":
        as_usage_error(source_images, output, image)
    dimensions = len(image.pixels.shape) - ("C" in (image.axes or ""))
    if output.suffix.lower() == ".png" and image.axes and dimensions > 2:
        raise UsageError(f"{output}: PNG holds flat images; write the stack as .tif or .npy.")


def measure_result(
    result: Segmentation, image: OpenedImage, args: argparse.Namespace
) -> ObjectTable:
    """Return the table of the objects of a result, or of its classes if none were numbered."""
    names = [label.name for label in result.classes]
    of_objects = result.summary.object_classes or range(1, len(names) + 1)
    classes = {label: names[k - 1] for label, k in enumerate(of_objects, 1)}
    return measure_labels(
        result.labels, result.axes, image, image, args, result.probabilities, classes
    )
