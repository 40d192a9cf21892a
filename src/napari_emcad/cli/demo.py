"""``napari-emcad demo``: segment an included image, write the result and show it."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_emcad.cli.console import as_usage_error, print_result
from napari_emcad.cli.images import open_image
from napari_emcad.cli.options import load_checkpoint
from napari_emcad.cli.segment import segment_image

if TYPE_CHECKING:
    import argparse

    from napari_emcad.pipelines.segment import Segmentation


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("demo", help="segment an included image and show it")
    parser.add_argument("--output", type=Path, default=Path("napari-emcad-demo"), metavar="DIR")
    parser.add_argument(
        "--no-window", dest="window", action="store_false", help="do not open napari afterwards"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Segment the image, write labels and overlay, and open napari if there is a screen."""
    from importlib.resources import as_file, files

    from napari_emcad.io.images.write import write_array

    checkpoint = load_checkpoint(None, [])
    with as_file(files("napari_emcad") / "assets" / "nuclei_dark.png") as path:
        image = open_image(path)
        result = segment_image(path.name, image, checkpoint)
    labels, picture = (args.output / f"nuclei_dark_{end}" for end in ("labels.tif", "overlay.png"))
    overlay = _overlay(image.pixels, result)
    as_usage_error(write_array, args.output / "nuclei_dark.png", image.pixels, "YX")
    as_usage_error(write_array, labels, result.labels, result.axes)
    as_usage_error(write_array, picture, overlay, "YXC")
    share = (result.labels > 0).mean()
    print_result(f"{checkpoint.title}: {share:.1%} of the pixels are nuclei.\n{labels}\n{picture}")
    if args.window and _has_screen():
        _open_window(image.pixels, result)


def _overlay(image: Any, result: Segmentation) -> Any:
    from napari_emcad.imaging.overlay import overlay

    return overlay(image[None], result.labels, [label.color for label in result.classes])


def _has_screen() -> bool:
    """Return whether napari is installed and a window can probably be opened."""
    screen = sys.platform in ("win32", "darwin") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    return screen and importlib.util.find_spec("napari") is not None


def _open_window(image: Any, result: Segmentation) -> None:
    import napari

    from napari_emcad.model import triton_preload  # noqa: F401  (before the first canvas)

    viewer = napari.Viewer()
    viewer.add_image(image, name="nuclei_dark")
    viewer.window.add_plugin_dock_widget("napari-emcad", "EMCAD")
    viewer.add_labels(result.labels, name="nuclei_dark segmentation")
    napari.run()
