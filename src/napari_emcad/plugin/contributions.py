"""What the manifest names besides the panel: the checkpoint reader and the sample images."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

LayerData = tuple[Any, ...]


def checkpoint_reader(path: str | list[str]) -> Callable[[Any], list[LayerData]] | None:
    """Return a reader that opens a checkpoint in the panel; None for a folder.

    A file that turns out to be none is claimed as well: the panel says what it is instead.
    """
    first = Path(path if isinstance(path, str) else path[0])
    return None if first.is_dir() else _open_in_panel


def _open_in_panel(path: str | list[str]) -> list[LayerData]:
    """Open the checkpoint in the current viewer's panel; there is no layer to add."""
    import napari

    from napari_emcad.plugin.widget import show_panel

    viewer = napari.current_viewer()
    if viewer is not None:
        show_panel(viewer).model.controller.open_file(
            Path(path if isinstance(path, str) else path[0])
        )
    return [(None,)]


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
    from napari_emcad.io.images.read import read_image

    with as_file(files("napari_emcad") / "assets" / f"{name}.png") as path:
        return [(read_image(path).pixels, {"name": name}, "image")]
