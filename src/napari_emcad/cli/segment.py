"""``napari-emcad segment``: images into label files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_emcad.cli.console import (
    UsageError,
    as_usage_error,
    print_result,
    print_status,
    show_progress,
)
from napari_emcad.cli.options import (
    add_inference,
    check_outputs,
    inference_options,
    load_checkpoint,
)
from napari_emcad.io.atomic_write import resolve_links

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from napari_emcad.inference.events import Event
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.io.images.opened_image import OpenedImage
    from napari_emcad.pipelines.segment import Segmentation

_OUTPUT_KINDS = (".tif", ".tiff", ".png", ".npy")
_PICTURES = (".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".svg", ".npz", ".h5")
_ADVICE = " Use --axes and --channels."


def add_parser(verbs: Any) -> None:
    """Add the verb."""
    segment = verbs.add_parser("segment", help="segment images into label files")
    segment.add_argument(
        "images", type=Path, nargs="+", metavar="IMAGE", help="image files, or folders of them"
    )
    segment.add_argument(
        "--output",
        type=Path,
        default=Path(),
        help="a folder (IMAGE_labels.tif is written there), or for one image a .tif, .png or .npy",
    )
    segment.add_argument(
        "--probabilities", action="store_true", help="write IMAGE_probabilities.tif as well"
    )
    segment.add_argument("--overwrite", action="store_true", help="replace files that are there")
    add_inference(segment)
    segment.add_argument("--separate", action="store_true", help="give each object its own number")
    segment.add_argument("--neck", type=int, default=5, help="least pixels between centers (5)")
    segment.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Segment one image after another; one that fails is named, the others are done."""
    checkpoint = load_checkpoint(args.checkpoint, args.set)
    options = inference_options(args)
    targets = _targets(_images(args.images), args.output)
    _check(targets, args)
    failed = 0
    for image, target in targets:
        try:
            found = read(image, target)
            axes = args.axes or found.axes
            result = segment_image(
                image.name, found, checkpoint, axes, probabilities=args.probabilities, **options
            )
            _write_result(result, target, found)
        except UsageError as mistake:
            print_status(f"napari-emcad: {mistake}")
            failed += 1
        else:
            print_result(str(target))
    if failed and len(targets) > 1:
        print_status(f"napari-emcad: {failed} of {len(targets)} images were not segmented.")
    return 2 if failed else 0


def _images(paths: Sequence[Path]) -> list[Path]:
    """Return the images, those of folders one by one; a Zarr folder is one image."""
    from napari_emcad.io.images.folder import FOLDERS, image_files

    listed: list[Path] = []
    for path in paths:
        is_folder = path.is_dir() and path.suffix.lower() not in FOLDERS
        listed += as_usage_error(image_files, path) if is_folder else [path]
    return listed


def _targets(images: Sequence[Path], output: Path) -> list[tuple[Path, Path]]:
    """Return where each image's labels go."""
    suffix = output.suffix.lower()
    if suffix in _PICTURES and not os.path.isdir(output):
        raise UsageError(
            f"{output}: labels cannot be written as {suffix}; take .tif, .png or .npy."
        )
    if suffix in _OUTPUT_KINDS and not os.path.isdir(output):
        if len(images) > 1:
            raise UsageError(f"{output} is one file for {len(images)} images; give a folder.")
        return [(images[0], output)]
    names = [each.stem for each in images]
    return [
        (each, output / f"{each.stem if names.count(each.stem) == 1 else each.name}_labels.tif")
        for each in images
    ]


def _check(targets: list[tuple[Path, Path]], args: argparse.Namespace) -> None:
    """Refuse to write over what is read, over other files unless asked for, and in vain."""
    written = [target for _, target in targets]
    if args.probabilities:
        written += [_beside(each) for each in written]
    if len({resolve_links(each) for each in written}) < len(written):
        raise UsageError("Two images have the same name; segment them into different folders.")
    own = [args.checkpoint] if args.checkpoint is not None else []
    check_outputs(written, [*own, *(image for image, _ in targets)], args.overwrite)


def _beside(target: Path) -> Path:
    """Return where the probabilities of labels go."""
    return target.with_name(target.stem.removesuffix("_labels") + "_probabilities.tif")


def read(image: Path, target: Path | None = None) -> OpenedImage:
    """Read one image file, and say what is strange about it.

    Raises
    ------
    Mistake
        If it cannot be read, or its labels not be written to `target`; the message names it.
    """
    from napari_emcad.io.images.read import read_image

    opened = as_usage_error(read_image, image)
    if opened.note:
        print_status(opened.note)
    _check_rank(opened, target)
    return opened


def segment_image(
    name: str, image: OpenedImage, checkpoint: Checkpoint, axes: str | None = None, **options: Any
) -> Segmentation:
    """Segment an image, telling of its progress.

    Raises
    ------
    Mistake
        If it cannot be; the message names it.
    """
    from napari_emcad.imaging.slices import AxesError
    from napari_emcad.pipelines.segment import segment

    try:
        return segment(image.pixels, checkpoint, axes, on_event=_teller(name), **options)
    except (ValueError, TypeError) as error:
        advice = _ADVICE if isinstance(error, AxesError) else ""
        raise UsageError(f"{name}: {error}{advice}") from error


def _check_rank(opened: OpenedImage, target: Path | None) -> None:
    """Refuse a stack for a PNG before it is computed."""
    rank = len(opened.pixels.shape) - ("C" in (opened.axes or ""))
    if target is not None and target.suffix.lower() == ".png" and opened.axes and rank > 2:
        raise UsageError(f"{target}: PNG holds flat images; write the stack as .tif or .npy.")


def _write_result(result: Segmentation, target: Path, image: OpenedImage) -> None:
    from napari_emcad.io.images.write import write_array

    place = image.scale, image.unit
    as_usage_error(write_array, target, result.labels, result.axes, *place)
    if result.probabilities is not None:
        axes = f"C{result.axes}"
        as_usage_error(write_array, _beside(target), result.probabilities, axes, *place)


def _teller(name: str) -> Callable[[Event], None]:
    from napari_emcad.inference.events import Notice, Progress

    def print_result(event: Event) -> None:
        if isinstance(event, Progress):
            show_progress(f"{name}: {event.done} of {event.total}", last=event.done == event.total)
        elif isinstance(event, Notice):
            print_status(event.text)

    return print_result
