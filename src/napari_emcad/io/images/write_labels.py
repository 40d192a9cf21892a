"""Writing labels and probabilities of an image in a file that lies where the image lies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.images.dicom.segmentation_writer import segmentation_bytes
from napari_emcad.io.images.file_names import VOLUME_EXTENSIONS, extension_of
from napari_emcad.io.images.geometry import Geometry, View
from napari_emcad.io.images.metaimage import flat_mha_bytes, mha_bytes
from napari_emcad.io.images.nifti_writer import mgh_bytes, nifti_bytes
from napari_emcad.io.images.nrrd_writer import nrrd_bytes, plain_nrrd_bytes
from napari_emcad.io.images.opened_image import ImageFileError, NrrdPlace, ZarrPlace
from napari_emcad.io.images.write import write_array, write_file
from napari_emcad.io.images.zarr_writer import write_zarr_labels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.io.checkpoints.classes import ClassLabel
    from napari_emcad.io.images.opened_image import OpenedImage


def write_result(
    path: Path,
    array: NDArray[Any],
    axes: str,
    image: OpenedImage,
    classes: Sequence[ClassLabel] = (),
) -> None:
    """Write labels or probabilities of an image.

    Parameters
    ----------
    path
        As for `napari_emcad.io.images.write.write_array`; or ``.nii``, ``.nii.gz``, ``.mgz``,
        ``.nrrd`` or ``.mha``, which keep shape, orientation and position of the image's file; or
        ``.zarr``, see `napari_emcad.io.images.zarr_writer.write_zarr_labels`; or ``.dcm`` for the
        labels of a DICOM series, see `napari_emcad.io.images.dicom.segmentation_writer`.
    array
        Labels in the spatial shape of the image, or probabilities with C before it.
    axes
        A letter per axis of `array`.
    image
        The image.
    classes
        Names and colors of classes 1, 2, …, for formats with a place for them.

    Raises
    ------
    ImageFileError
        If the extension is unknown, the format cannot hold the array, or writing fails.
    """
    extension = extension_of(path)
    if extension == ".zarr":
        place = image.place if isinstance(image.place, ZarrPlace) else None
        write_zarr_labels(path, array, axes, image.scale, image.unit, classes, place)
        return
    if extension == ".dcm":
        write_file(path, segmentation_bytes(path, array, image, classes))
        return
    if extension not in VOLUME_EXTENSIONS:
        write_array(path, array, axes, image.scale, image.unit)
        return
    names = [label.name for label in classes]
    write_plain = _plain_writer(extension, axes, image)
    if write_plain is not None:
        write_file(path, write_plain(path, array, axes, image, names))
        return
    geometry = image.geometry or _unoriented(array, axes, image.scale)
    is_flat = geometry.view_shape[0] == 1 and array.shape[-2:] == geometry.view_shape[1:]
    if is_flat and "Z" not in axes:
        array = array[..., None, :, :]
    if array.ndim < 3 or array.shape[-3:] != geometry.view_shape:
        raise ImageFileError(
            f"{path.name}: labels with the axes {axes} are not slices, rows and columns of the "
            f"image; write .tif or .npy."
        )
    voxels = geometry.to_file(array)
    if extension in (".nii", ".nii.gz"):
        voxels = _in_file_shape(voxels, geometry)
    write_file(path, _WRITERS[extension](path, voxels, geometry, image.unit, names))


def _plain_writer(extension: str, axes: str, image: OpenedImage) -> Any:
    """Return the writer for an image without an orientation that needs none; None if it does."""
    if image.geometry is not None:
        return None
    is_flat = axes.removeprefix("C") == "YX"
    has_place = isinstance(image.place, NrrdPlace) and axes.endswith("YX")
    if extension == ".nrrd" and (is_flat or has_place):
        return plain_nrrd_bytes
    return flat_mha_bytes if extension == ".mha" and is_flat else None


def _unoriented(array: NDArray[Any], axes: str, scale: Mapping[str, float]) -> Geometry:
    """Return a geometry for an image without one: columns count to the left, rows to the back."""
    if not axes.endswith("YX"):
        raise ImageFileError(
            f"labels with the axes {axes} cannot be written as a volume; use .tif."
        )
    depth = array.shape[-3] if array.ndim > 2 and axes[-3] == "Z" else 1
    height, width = array.shape[-2:]
    sizes = [-scale.get("X", 1.0), -scale.get("Y", 1.0), scale.get("Z", 1.0), 1.0]
    return Geometry(np.diag(sizes), (width, height, depth), View((2, 1, 0)))


def _in_file_shape(voxels: NDArray[Any], geometry: Geometry) -> NDArray[Any]:
    """Return voxels in the shape of the file, which may have other axes of one entry."""
    shape = geometry.file_shape
    if shape is None or np.prod(shape, dtype=np.int64) != voxels.size:
        return voxels
    return voxels.reshape(shape)


_WRITERS = {
    ".nii": nifti_bytes,
    ".nii.gz": nifti_bytes,
    ".mgz": mgh_bytes,
    ".nrrd": nrrd_bytes,
    ".mha": mha_bytes,
}
