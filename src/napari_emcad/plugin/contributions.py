"""The checkpoint reader and the sample images of the napari manifest."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

LayerData = tuple[Any, ...]


def checkpoint_reader(path: str | list[str]) -> Callable[[Any], list[LayerData]] | None:
    """Return a reader that opens a checkpoint in the panel; None for a folder.

    Files that turn out to be no checkpoints are accepted as well: the panel then shows why they
    cannot be opened.
    """
    first = _first_path(path)
    return None if first.is_dir() else _open_in_panel


def _open_in_panel(path: str | list[str]) -> list[LayerData]:
    """Open a checkpoint in the panel of the viewer that reads it; returns napari's "no layer"."""
    from napari_emcad.plugin.widget import show_panel

    viewer = _reading_viewer()
    if viewer is not None:
        show_panel(viewer).model.controller.open_file(_first_path(path))
    return [(None,)]


def _reading_viewer() -> Any:
    """Return the viewer that a file was dropped on or opened in, else the current one.

    napari does not tell readers for which viewer they read, but that viewer has called them.
    """
    import napari

    frame = inspect.currentframe()
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, napari.Viewer):
            return owner
        frame = frame.f_back
    return napari.current_viewer()


def _first_path(path: str | list[str]) -> Path:
    return Path(path if isinstance(path, str) else path[0])


def sample_dark() -> list[LayerData]:
    """Return nuclei in fluorescence, 520 × 696, CC0."""
    return _sample("nuclei_dark")


def sample_colour() -> list[LayerData]:
    """Return nuclei in histology, 256 × 320 RGB, CC0."""
    return _sample("nuclei_colour")


def sample_bright() -> list[LayerData]:
    """Return nuclei in bright field, 1024 × 1024, CC0."""
    return _sample("nuclei_bright")


def _sample(name: str) -> list[LayerData]:
    from napari_emcad.io.images.samples import read_sample

    return [(read_sample(name), {"name": name}, "image")]
