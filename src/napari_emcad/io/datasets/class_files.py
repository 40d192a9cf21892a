"""Labels in a file per class, each with the pixels of one structure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.images.labels import open_labels
from napari_emcad.io.images.opened_image import ImageFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.io.datasets.label_coding import Compose
    from napari_emcad.io.images.opened_image import OpenedImage
    from napari_emcad.io.images.read_options import ReadOptions


def composed_of_classes(
    classes: Mapping[str, int], class_of_file: Callable[[Path], str]
) -> Compose:
    """Return the function that unites a file per class into the labels of an image.

    Parameters
    ----------
    classes
        Class of every name.
    class_of_file
        Function of a file that returns the name of its class.
    """

    def compose(
        image: OpenedImage,
        files: tuple[Path, ...],
        shape: tuple[int, ...],
        options: ReadOptions | None,
    ) -> tuple[NDArray[Any], str]:
        labels = np.zeros(shape, np.int16)
        names = {classes[class_of_file(path)]: path.name for path in files}
        for path in files:
            mask = _mask(path, shape, image, options)
            number = classes[class_of_file(path)]
            shared = labels[mask]
            others = shared[(shared > 0) & (shared != number)]
            if others.size:
                raise ImageFileError(
                    f"{path} and {names[int(others[0])]} share {others.size:,} pixels, so their "
                    f"class is not clear; leave one of both out, or unite them into one label file."
                )
            labels[mask] = number
        return labels, ""

    return compose


def _mask(
    path: Path, shape: tuple[int, ...], image: OpenedImage, options: ReadOptions | None
) -> NDArray[np.bool_]:
    """Return the pixels of a structure; refuse files with several values, or of another size."""
    pixels = open_labels(path, shape, image, options).pixels
    values = np.unique(pixels).tolist()
    if len(values) > 2 or values[0] < 0 or (len(values) == 2 and values[0] != 0):
        raise ImageFileError(
            f"{path} holds the values {', '.join(map(str, values[:5]))}; a file with the pixels of "
            f"one structure has 0 and another value."
        )
    if pixels.shape != shape:
        raise ImageFileError(
            f"{path} has {pixels.shape} pixels, its image {shape}; they must agree."
        )
    return np.asarray(pixels > 0)
