"""``napari-emcad demo``: an included image segmented, written and shown."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_emcad.cli.console import as_usage_error, print_result
from napari_emcad.cli.options import load_checkpoint
from napari_emcad.cli.segment import read, segment_image

if TYPE_CHECKING:
    import argparse

    from napari_emcad.pipelines.segment import Segmentation


def add_parser(verbs: Any) -> None:
    """Add the verb."""
    demo = verbs.add_parser("demo", help="segment an included image and show it")
    demo.add_argument("--output", type=Path, default=Path("napari-emcad-demo"), metavar="DIR")
    demo.add_argument(
        "--no-window", dest="window", action="store_false", help="do not open napari afterwards"
    )
    demo.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Segment, write labels and overlay, and open napari where there is a screen."""
    from importlib.resources import as_file, files

    from napari_emcad.io.images.write import write_array

    checkpoint = load_checkpoint(None, [])
    with as_file(files("napari_emcad") / "assets" / "nuclei_dark.png") as path:
        opened_image = read(path)
        image, result = opened_image.pixels, segment_image(path.name, opened_image, checkpoint)
    labels, picture = (args.output / f"nuclei_dark_{end}" for end in ("labels.tif", "overlay.png"))
    drawn = _overlay(image, result)
    as_usage_error(write_array, args.output / "nuclei_dark.png", image, "YX")
    as_usage_error(write_array, labels, result.labels, result.axes)
    as_usage_error(write_array, picture, drawn, "YXC")
    share = (result.labels > 0).mean()
    print_result(f"{checkpoint.title}: {share:.1%} of the pixels are nuclei.\n{labels}\n{picture}")
    if args.window and _has_screen():
        _open_window(image, result)


def _overlay(image: Any, result: Segmentation) -> Any:
    from napari_emcad.imaging.overlay import overlay

    return overlay(image[None], result.labels, [each.color for each in result.classes])


def _has_screen() -> bool:
    """Whether a window can be opened here, as far as can be told without trying."""
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
