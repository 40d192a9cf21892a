"""Prepare the first Labels layer in a thread, since it would freeze the window for about a second.

napari imports pandas with it, vispy draws the dashes of its outlines, and numba compiles napari's
color mapping, or loads it from its cache.
"""

from __future__ import annotations

import importlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator


def warm_up_job(_: threading.Event) -> Generator[Any, None, None]:
    """Prepare one thing after another; what fails is left to napari."""
    yield from ()
    steps: tuple[Callable[[], Any], ...] = (_load_pandas, _draw_dashes, _compile_colors)
    for step in steps:
        with suppress(Exception):
            step()


def _load_pandas() -> None:
    importlib.import_module("pandas")


def _draw_dashes() -> None:
    from vispy.visuals.line.dash_atlas import DashAtlas  # type: ignore[import-untyped]

    DashAtlas()


def _compile_colors() -> None:
    from napari.utils.colormaps import DirectLabelColormap, label_colormap

    colors = DirectLabelColormap(color_dict={None: "white", 0: "transparent", 1: "red"})
    for dtype in (np.uint8, np.uint16, np.int32):
        colors.map(np.zeros((2, 2), dtype))
        label_colormap().map(np.zeros((2, 2), dtype))
