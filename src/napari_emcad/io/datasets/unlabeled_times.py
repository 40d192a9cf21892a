"""Times of a volume that nobody labeled, such as those between end-diastole and end-systole."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_emcad.annotation.label_rules import UNLABELED

if TYPE_CHECKING:
    from napari_emcad.io.datasets.label_files import ReadLabels
    from napari_emcad.io.images.opened_image import OpenedImage

_AXES = "TZYX"


def without_unlabeled_times(read: ReadLabels, image: OpenedImage, name: str) -> ReadLabels:
    """Return labels whose empty volumes are ignored, if those of other times have labels.

    Parameters
    ----------
    read
        Labels of an image.
    image
        The image; only series of volumes change.
    name
        Name of the label file, for the note.
    """
    pixels = read.pixels
    if (image.axes or "").replace("C", "") != _AXES or pixels.ndim != len(_AXES):
        return read
    empty = ~(pixels != 0).any(axis=(1, 2, 3))
    if empty.all() or not empty.any():
        return read
    kept = np.array(pixels, np.int64)
    kept[empty] = UNLABELED
    note = f"{name} has no label at {int(empty.sum())} of {len(empty)} times, which are ignored."
    return replace(read, pixels=kept, note=f"{read.note} {note}".strip())
