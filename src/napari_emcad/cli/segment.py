"""``napari-emcad segment``: segment images into label files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_emcad.cli.console import UsageError, as_usage_error, print_message, print_result
from napari_emcad.cli.images import event_printer, image_error, open_image
from napari_emcad.cli.options import add_inference, inference_options, load_checkpoint
from napari_emcad.cli.outputs import check_outputs
from napari_emcad.io.atomic_write import resolve_links
from napari_emcad.io.plain_text import composed

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.io.images.opened_image import OpenedImage
    from napari_emcad.pipelines.segment import Segmentation

_OUTPUT_EXTENSIONS = (".tif", ".tiff", ".png", ".npy")
_UNSUITABLE_EXTENSIONS = (".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".svg", ".npz", ".h5")


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
        help="a folder (IMAGE_labels.tif is written there), or for one image a .tif, .png or .npy",
    )
    parser.add_argument(
        "--probabilities", action="store_true", help="write IMAGE_probabilities.tif as well"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    add_inference(parser)
    parser.add_argument(
        "--separate", action="store_true", help="number the objects, touching ones separately"
    )
    parser.add_argument("--neck", type=int, default=5, help="least pixels between centers (5)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Segment images one after another; one that fails is reported and skipped."""
    checkpoint = load_checkpoint(args.checkpoint, args.set)
    options = inference_options(args)
    jobs = _output_files(_image_files(args.images), args.output)
    _check_output_files(jobs, args)
    failed = 0
    for path, output in jobs:
        try:
            image = open_image(path)
            _check_dimensions(image, output)
            result = segment_image(
                path.name,
                image,
                checkpoint,
                args.axes or image.axes,
                probabilities=args.probabilities,
                **options,
            )
            _write_result(result, output, image)
        except UsageError as error:
            print_message(str(error))
            failed += 1
        else:
            print_result(str(output))
    if failed and len(jobs) > 1:
        print_message(f"{failed} of {len(jobs)} images were not segmented.")
    return 2 if failed else 0


def segment_image(
    name: str, image: OpenedImage, checkpoint: Checkpoint, axes: str | None = None, **options: Any
) -> Segmentation:
    """Segment an image, with progress on the terminal.

    Raises
    ------
    UsageError
        If it cannot be segmented; the message names it.
    """
    from napari_emcad.pipelines.segment import segment

    try:
        return segment(image.pixels, checkpoint, axes, on_event=event_printer(name), **options)
    except (ValueError, TypeError) as error:
        raise image_error(name, error) from error


def _image_files(paths: Sequence[Path]) -> list[Path]:
    """Return the image files, also those in folders; a Zarr folder is one image."""
    from napari_emcad.io.images.folder import FOLDERS, image_files

    images: list[Path] = []
    for path in paths:
        is_folder = path.is_dir() and path.suffix.lower() not in FOLDERS
        images += as_usage_error(image_files, path) if is_folder else [path]
    return images


def _output_files(images: Sequence[Path], output: Path) -> list[tuple[Path, Path]]:
    """Return every image with the file for its labels."""
    extension = output.suffix.lower()
    is_folder = os.path.isdir(output)
    if extension in _UNSUITABLE_EXTENSIONS and not is_folder:
        raise UsageError(
            f"{output}: labels cannot be written as {extension}; use .tif, .png or .npy."
        )
    if extension in _OUTPUT_EXTENSIONS and not is_folder:
        if len(images) > 1:
            raise UsageError(f"{output} is one file for {len(images)} images; name a folder.")
        return [(images[0], output)]
    stems = [composed(path.stem) for path in images]
    names = [
        path.stem if stems.count(stem) == 1 else path.name
        for path, stem in zip(images, stems, strict=True)
    ]
    return [(path, output / f"{name}_labels.tif") for path, name in zip(images, names, strict=True)]


def _check_output_files(jobs: Sequence[tuple[Path, Path]], args: argparse.Namespace) -> None:
    outputs = [output for _, output in jobs]
    if args.probabilities:
        outputs += [_probabilities_file(output) for output in outputs]
    if len({composed(str(resolve_links(output))) for output in outputs}) < len(outputs):
        raise UsageError("Two images have the same name; segment them into different folders.")
    check_outputs(outputs, [image for image, _ in jobs], args)


def _check_dimensions(image: OpenedImage, output: Path) -> None:
    """Refuse to write a stack as PNG, before it is segmented."""
    dimensions = len(image.pixels.shape) - ("C" in (image.axes or ""))
    if output.suffix.lower() == ".png" and image.axes and dimensions > 2:
        raise UsageError(f"{output}: PNG holds flat images; write the stack as .tif or .npy.")


def _write_result(result: Segmentation, output: Path, image: OpenedImage) -> None:
    from napari_emcad.io.images.write import write_array

    pixel_size = image.scale, image.unit
    as_usage_error(write_array, output, result.labels, result.axes, *pixel_size)
    if result.probabilities is not None:
        path, axes = _probabilities_file(output), f"C{result.axes}"
        as_usage_error(write_array, path, result.probabilities, axes, *pixel_size)


def _probabilities_file(output: Path) -> Path:
    """Return the file for the probabilities beside that for the labels."""
    return output.with_name(output.stem.removesuffix("_labels") + "_probabilities.tif")
