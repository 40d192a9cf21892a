"""Import the libraries of extras where they are used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_emcad.io.images.opened_image import ImageFileError

if TYPE_CHECKING:
    from pathlib import Path


def optional_library(module: str, path: Path, extra: str = "medical") -> Any:
    """Return a module of an extra of this package.

    Raises
    ------
    ImageFileError
        If it is not installed; the message names the file and the command that installs it.
    """
    try:
        return import_module(module)
    except ImportError:
        library = module.partition(".")[0]
        raise ImageFileError(
            f"{path} needs the package {library}, which is not installed: run python -m pip "
            f'install "napari-emcad[{extra}]".'
        ) from None
