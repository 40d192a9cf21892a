"""Reading and writing MetaImage volumes (MHA, MHD) with SimpleITK."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.images.geometry import sliced_geometry
from napari_emcad.io.images.metaimage_packing import check_packed_pixels
from napari_emcad.io.images.opened_image import FlatPlace, ImageFileError, OpenedImage
from napari_emcad.io.images.optional_libraries import optional_library
from napari_emcad.io.images.pixel_size import in_mm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_emcad.io.images.geometry import Geometry
    from napari_emcad.io.images.read_options import ReadOptions

_LPS = np.array([-1.0, -1.0, 1.0, 1.0])
"""Signs that turn ITK's coordinates into RAS+, and back."""

_READER = "MetaImageIO"


def read_metaimage(path: Path, options: ReadOptions) -> OpenedImage:
    """Read a volume as slices of a plane of the patient, or a picture; sizes are in mm.

    A fourth axis is T, and several numbers per voxel are C.

    Raises
    ------
    ImageFileError
        If SimpleITK is not installed, or there are more axes or complex numbers.
    Exception
        Of any type, raised by SimpleITK for damaged files.
    """
    sitk = optional_library("SimpleITK", path)
    check_packed_pixels(path)
    image = sitk.ReadImage(str(path), imageIO=_READER)
    rank, components = image.GetDimension(), image.GetNumberOfComponentsPerPixel()
    pixels = sitk.GetArrayFromImage(image)
    if rank > 4 or pixels.dtype.kind not in "biuf":
        raise ImageFileError(f"{path} has {rank} axes of {pixels.dtype}; up to four are read.")
    sizes = dict(zip("XYZ", map(float, image.GetSpacing()), strict=False))
    color = "C" * (components > 1)
    if rank == 2:
        place = FlatPlace(image.GetSpacing(), image.GetOrigin(), image.GetDirection())
        return OpenedImage(pixels, f"YX{color}", None, "", sizes, "mm", place=place)
    geometry = sliced_geometry(_affine(image), image.GetSize()[:3], options.plane)
    order = [2, 1, 0] if rank == 3 else [3, 2, 1, 0]
    voxels = pixels.transpose(*order, *range(rank, pixels.ndim))
    shown = geometry.to_view(voxels)
    if color:
        shown = np.moveaxis(shown, 0, -1)
    axes = "TZYX"[4 - rank :] + color
    note = f"{path.name}: {geometry.note}."
    return OpenedImage(shown, axes, None, note, geometry.scale, "mm", geometry)


def mha_bytes(
    path: Path, voxels: NDArray[Any], geometry: Geometry, unit: str, classes: Sequence[str]
) -> bytes:
    """Return the content of a ``.mha`` file; see `nifti_writer.nifti_bytes`."""
    sitk = optional_library("SimpleITK", path)
    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels.T), isVector=False)
    rank = voxels.ndim
    affine = np.eye(rank + 1)
    in_lps = np.asarray(geometry.affine) * _LPS[:, None] * in_mm(unit)
    affine[:3, :3] = in_lps[:3, :3]
    sizes = np.linalg.norm(affine[:rank, :rank], axis=0)
    image.SetSpacing(sizes.tolist())
    image.SetDirection((affine[:rank, :rank] / sizes).ravel().tolist())
    image.SetOrigin([*in_lps[:3, 3], *[0.0] * (rank - 3)])
    return _mha_content(sitk, image)


def flat_mha_bytes(
    path: Path, labels: NDArray[Any], axes: str, image: OpenedImage, classes: Sequence[str]
) -> bytes:
    """Return the content of a ``.mha`` file for labels ``(rows, columns)`` of a flat image.

    A leading axis of classes becomes the last one of the file. Size, origin and direction are those
    of the image, if it is a MetaImage.
    """
    sitk = optional_library("SimpleITK", path)
    written = sitk.GetImageFromArray(np.ascontiguousarray(labels), isVector=False)
    rank = labels.ndim
    sizes = [image.scale.get(axis, 1.0) * in_mm(image.unit) for axis in "XY"]
    plain = FlatPlace((sizes[0], sizes[1]), (0.0, 0.0), (1.0, 0.0, 0.0, 1.0))
    place = image.place if isinstance(image.place, FlatPlace) else plain
    direction = np.eye(rank)
    direction[:2, :2] = np.reshape(place.direction, (2, 2))
    written.SetSpacing([*place.spacing, *[1.0] * (rank - 2)])
    written.SetOrigin([*place.origin, *[0.0] * (rank - 2)])
    written.SetDirection(direction.ravel().tolist())
    return _mha_content(sitk, written)


def _mha_content(sitk: Any, image: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "labels.mha"
        sitk.WriteImage(image, str(file), useCompression=True)
        return file.read_bytes()


def _affine(image: Any) -> NDArray[np.float64]:
    """Return the RAS+ affine of the three axes of space."""
    rank = image.GetDimension()
    direction = np.array(image.GetDirection()).reshape(rank, rank)[:3, :3]
    affine: NDArray[np.float64] = np.eye(4)
    affine[:3, :3] = direction * np.array(image.GetSpacing()[:3])
    affine[:3, 3] = image.GetOrigin()[:3]
    in_ras: NDArray[np.float64] = affine * _LPS[:, None]
    return in_ras
