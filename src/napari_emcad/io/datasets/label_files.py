"""Read the label files of one image: a file, or several masks that are united."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.images.labels import read_labels
from napari_emcad.io.images.opened_image import ImageFileError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_emcad.io.images.opened_image import OpenedImage
    from napari_emcad.io.images.read_options import ReadOptions

_MOST_LEVELS, _LEAST_WHITE = 6, 0.5
"""Most gray levels of a mask of classes beside 0 and 255, and the least share of 255 among its
pixels above 0 if it is one of black and white with gray edges."""


@dataclass(frozen=True, slots=True, eq=False)
class ReadLabels:
    """The labels of an image.

    Attributes
    ----------
    pixels
        A whole number per pixel.
    note
        Remark on how they were read, or "".
    """

    pixels: NDArray[Any]
    note: str = ""


def read_label_files(
    files: Path | Sequence[Path],
    shape: tuple[int, ...] | None = None,
    image: OpenedImage | None = None,
    options: ReadOptions | None = None,
) -> ReadLabels:
    """Read the labels of an image.

    Parameters
    ----------
    files
        A label file, or several masks of one image, whose pixels above 0 become 1.
    shape, image, options
        As for `read_labels`.

    Raises
    ------
    ImageFileError
        If a file cannot be read, or the masks have different shapes.
    """
    paths = (files,) if isinstance(files, Path) else tuple(files)
    if len(paths) == 1:
        return without_gray_edges(read_labels(paths[0], shape, image, options))
    united: NDArray[np.uint8] | None = None
    for path in paths:
        mask = without_gray_edges(read_labels(path, shape, image, options)).pixels > 0
        if united is not None and united.shape != mask.shape:
            raise ImageFileError(
                f"{path.name} has {mask.shape} pixels, {paths[0].name} {united.shape}; masks of "
                f"one image must agree."
            )
        united = mask.astype(np.uint8) if united is None else united | mask
    if united is None:
        raise ImageFileError("There is no label file.")
    return ReadLabels(united)


def without_gray_edges(labels: NDArray[Any]) -> ReadLabels:
    """Return a mask of black and white whose edges are gray, thresholded; others as they are.

    Such masks were resized or drawn with smooth edges. They have many gray levels, and most pixels
    above 0 are 255.
    """
    if labels.dtype != np.uint8:
        return ReadLabels(labels)
    counts = np.bincount(labels.ravel(), minlength=256)
    levels = np.flatnonzero(counts[1:255])
    white = counts[255] / max(counts[1:].sum(), 1)
    if len(levels) <= _MOST_LEVELS or white < _LEAST_WHITE:
        return ReadLabels(labels)
    note = f"a mask of 0 and 255 with {len(levels)} gray levels at its edges; above 127 is 255."
    return ReadLabels(np.where(labels > 127, 255, 0).astype(np.uint8), note)
