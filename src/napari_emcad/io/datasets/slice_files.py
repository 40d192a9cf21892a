"""Labels of a DICOM series in a picture per slice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.images.opened_image import ImageFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.io.images.opened_image import OpenedImage


def labels_of_slices(
    image: OpenedImage,
    pictures: Mapping[Path, Path],
    read: Callable[[Path], NDArray[Any]],
    folder: Path,
) -> NDArray[Any]:
    """Return the labels of a series, in the order in which its planes were sorted.

    Parameters
    ----------
    image
        The series, with its source planes.
    pictures
        Picture of the labels of every DICOM file, with the rows and columns of the file.
    read
        Function of a picture that returns its classes ``(rows, columns)``.
    folder
        Folder of the series, for messages.

    Raises
    ------
    ImageFileError
        If the series has no positions or several times, a file has no picture, or one has another
        size.
    """
    geometry = image.geometry
    if geometry is None or len(image.source_planes) != 1:
        raise ImageFileError(
            f"{folder} has no positions of its planes, or several times, so that pictures of "
            f"labels cannot be placed on it; save image and labels as NIfTI."
        )
    files = [path for path, _ in image.source_planes[0]]
    missing = [path.name for path in files if path not in pictures]
    if missing or len(set(files)) < len(files):
        what = f"{missing[0]} has none" if missing else "a file has several planes"
        raise ImageFileError(
            f"{folder} needs a picture of labels for every file, but {what}; add it."
        )
    planes = []
    for path in files:
        classes = read(pictures[path])
        if classes.shape != (geometry.shape[1], geometry.shape[0]):
            raise ImageFileError(
                f"{pictures[path]} has {classes.shape} pixels, but {path.name} "
                f"{(geometry.shape[1], geometry.shape[0])}; they must agree."
            )
        planes.append(classes)
    voxels = np.stack(planes).transpose(2, 1, 0)
    shown = geometry.to_view(voxels)
    return shown[0] if image.axes == "YX" else shown
