"""What travels between the process that submits a segmentation and its workers."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_emcad.inference.events import InferenceSettings
    from napari_emcad.io.images.read_options import ReadOptions

PACKAGES = ("napari-emcad", "torch")
"""Packages that must have the same version everywhere, else parts would not fit together."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """The file of a model in the folder of the run, and the SHA-256 of its content."""

    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class ImageTask:
    """All that a worker needs to compute any part of an image.

    Attributes
    ----------
    name
        Name of the image for messages.
    path, options
        File of the image, and choices where it can be read in several ways.
    axes, channels
        As for `napari_emcad.segment`; the axes are known.
    shape, dtype
        What the submitting process reads; a worker that reads something else refuses.
    identity
        Changes with the content of the file, so that a worker reads it again.
    model, settings
        Model and settings of the inference.
    folder
        Folder that the worker writes parts to.
    zarr
        Zarr array that the worker writes labels to instead; None if there is none.
    joins
        Whether bands of a slice are joined before they are final, as clean-up needs whole slices.
    versions
        Versions of `PACKAGES` in the submitting process.
    """

    name: str
    path: Path
    options: ReadOptions
    axes: str
    channels: tuple[int | None, ...] | int | None
    shape: tuple[int, ...]
    dtype: str
    identity: str
    model: ModelFile
    settings: InferenceSettings
    folder: Path
    zarr: Path | None = None
    joins: bool = False
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PartDone:
    """A part is finished, and in a file or in the Zarr array.

    Attributes
    ----------
    key
        Key of the part.
    notice
        A remark for the user about the range of the image, or "".
    """

    key: str
    notice: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """A worker could not do its task; the text says why and what to do."""

    text: str


@lru_cache(maxsize=1)
def installed_versions() -> dict[str, str]:
    """Return the versions of `PACKAGES` in this process."""
    return {package: version(package) for package in PACKAGES}


def version_problem(expected: Mapping[str, str], found: Mapping[str, Any], where: str) -> str:
    """Return why packages at a place do not fit, or ""; an exception stands for a missing one."""
    for package, wanted in expected.items():
        installed = found.get(package)
        if not isinstance(installed, str):
            return (
                f"The worker {where} cannot use the package {package}: run python -m pip install "
                f"{package}=={wanted} in its environment and restart it."
            )
        if installed != wanted:
            return (
                f"The worker {where} has {package} {installed}, this computer has {wanted}; "
                f"install the same version at both and restart the worker."
            )
    return ""
