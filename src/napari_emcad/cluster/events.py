"""Events of a segmentation of many files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from napari_emcad.io.images.opened_image import OpenedImage
    from napari_emcad.pipelines.segment import Segmentation


@dataclass(frozen=True, slots=True)
class FilesProgress:
    """How far a segmentation of files is.

    Attributes
    ----------
    done, total
        Number of images that are complete, and of all.
    share
        Share of all images that is computed, 0 … 1; that of an image counts by its parts.
    parts
        Number of parts that were computed since the start.
    """

    done: int
    total: int
    share: float
    parts: int


@dataclass(frozen=True, slots=True)
class ImageNotice:
    """A remark about an image; `is_range` if it lies outside of the range of the model."""

    name: str
    text: str
    is_range: bool = False


@dataclass(frozen=True, slots=True)
class ImageFailed:
    """An image cannot be segmented; the text says why and what to do.

    Attributes
    ----------
    name, text
        Name of the image, and the reason.
    is_axes
        Whether naming the axes or the channels would help.
    """

    name: str
    text: str
    is_axes: bool = False


@dataclass(frozen=True, slots=True)
class LabelsBegun:
    """Workers write the labels of an image into a Zarr array, whose empty parts are 0.

    Attributes
    ----------
    name
        Name of the image.
    path
        The array; it is moved when the labels are complete.
    """

    name: str
    path: Path


@dataclass(frozen=True, slots=True, eq=False)
class ImageDone:
    """The labels of an image are written.

    Attributes
    ----------
    name, output
        Name of the image, and the file of its labels.
    image, segmentation
        The image and its result, which lie on disk until the next event. None if the labels were
        complete before, or were written to OME-Zarr by the workers.
    """

    name: str
    output: Path
    image: OpenedImage | None = None
    segmentation: Segmentation | None = None


FilesEvent = FilesProgress | ImageNotice | ImageFailed | LabelsBegun | ImageDone
