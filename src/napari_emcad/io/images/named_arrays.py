"""Reading an array of an HDF5 or NPZ file by its name."""

from __future__ import annotations

import zipfile
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.images.opened_image import ImageFileError, OpenedImage
from napari_emcad.io.images.optional_libraries import optional_library
from napari_emcad.io.images.pixel_size import PIXEL

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_emcad.io.images.read_options import ReadOptions

    Shapes = dict[str, tuple[int, ...]]

_IMAGE_NAMES = ("image", "images", "img", "imgs", "raw")
_LABEL_NAMES = ("label", "labels", "gt", "gts", "mask", "masks", "segmentation")

_LISTED = 8
"""Most arrays that a message lists."""


def read_hdf5(path: Path, options: ReadOptions) -> OpenedImage:
    """Read the image, or the labels, of an HDF5 file.

    Axes come from the labels of its dimensions or ilastik's *axistags*, the size of a voxel from
    *element_size_um*, if the file has them.

    Raises
    ------
    ImageFileError
        If h5py is not installed, or it is ambiguous which array is meant.
    Exception
        Of any type, raised by h5py for damaged files.
    """
    h5py = optional_library("h5py", path)
    with h5py.File(path, "r") as file:
        shapes = _hdf5_shapes(file)
        name = _choose(path, shapes, options)
        dataset = file[name]
        pixels, attributes = dataset[()], dict(dataset.attrs)
        dimensions = [dimension.label for dimension in dataset.dims]
    axes = _axes(dimensions, attributes, pixels.ndim)
    scale, unit = _voxel_size(attributes)
    return OpenedImage(pixels, axes, None, _note(path, name, shapes), scale, unit)


def array_shapes(path: Path) -> Shapes:
    """Return the shapes of the arrays of numbers with two axes or more in an HDF5 or NPZ file.

    Raises
    ------
    ImageFileError
        If h5py is needed and not installed, or the file is damaged.
    """
    try:
        if path.suffix.lower() == ".npz":
            return _npz_shapes(path)
        with optional_library("h5py", path).File(path, "r") as file:
            return _hdf5_shapes(file)
    except ImageFileError:
        raise
    except Exception:  # noqa: BLE001  (decoders raise errors of any type for damaged files)
        raise ImageFileError(f"{path} is damaged; copy it again.") from None


def _hdf5_shapes(file: Any) -> Shapes:
    """Return the shapes of all arrays of numbers of an open HDF5 file."""
    shapes: Shapes = {}

    def collect(name: str, item: Any) -> None:
        is_array = hasattr(item, "dtype") and item.ndim >= 2 and item.dtype.kind in "biuf"
        if is_array:
            shapes[name] = item.shape

    file.visititems(collect)
    return shapes


def read_npz(path: Path, options: ReadOptions) -> OpenedImage:
    """Read the image, or the labels, of an NPZ file.

    Raises
    ------
    ImageFileError
        If it is ambiguous which array is meant.
    Exception
        Of any type, raised by NumPy for damaged files.
    """
    shapes = _npz_shapes(path)
    name = _choose(path, shapes, options)
    with np.load(path, allow_pickle=False) as file:
        pixels = file[name]
    return OpenedImage(pixels, note=_note(path, name, shapes))


def _npz_shapes(path: Path) -> Shapes:
    """Return the shapes of all arrays of numbers, without reading the numbers."""
    shapes: Shapes = {}
    with zipfile.ZipFile(path) as archive:
        for entry in archive.namelist():
            if not entry.endswith(".npy"):
                continue
            with archive.open(entry) as file:
                version = np.lib.format.read_magic(file)
                read = (
                    np.lib.format.read_array_header_1_0
                    if version == (1, 0)
                    else np.lib.format.read_array_header_2_0
                )
                shape, _, dtype = read(file)
            if len(shape) >= 2 and dtype.kind in "biuf" and not dtype.hasobject:
                shapes[entry.removesuffix(".npy")] = shape
    return shapes


def _choose(path: Path, shapes: Mapping[str, tuple[int, ...]], options: ReadOptions) -> str:
    """Return the name of the array that is meant.

    It is the one that the user names, else the only one with a usual name, else the only array.
    """
    role, flag = ("labels", "--label-key") if options.as_labels else ("image", "--image-key")
    key = options.label_key if options.as_labels else options.image_key
    if not shapes:
        raise ImageFileError(f"{path} holds no array of numbers with two axes or more.")
    if key is not None:
        if key.strip("/") in shapes:
            return key.strip("/")
        raise ImageFileError(f"{path} has no array {key}; it has {_listed(shapes)}.")
    names: tuple[tuple[str, ...], ...] = (_IMAGE_NAMES, _LABEL_NAMES)
    usual, others = reversed(names) if options.as_labels else names
    named = [name for name in shapes if _last(name) in usual]
    if len(named) == 1:
        return named[0]
    if not named and len(shapes) == 1 and _last(next(iter(shapes))) not in others:
        return next(iter(shapes))
    raise ImageFileError(
        f"{path}: it is not clear which array is the {role}; choose one of {_listed(shapes)} with "
        f"{flag}."
    )


def _last(name: str) -> str:
    return name.rsplit("/", 1)[-1].lower()


def _listed(shapes: Mapping[str, tuple[int, ...]]) -> str:
    texts = [f"{name} {'×'.join(map(str, shape))}" for name, shape in shapes.items()]
    more = [f"{len(texts) - _LISTED} more"] * (len(texts) > _LISTED)
    return ", ".join(texts[:_LISTED] + more)


def _note(path: Path, name: str, shapes: Mapping[str, tuple[int, ...]]) -> str:
    return f"{path.name}: the array {name} of {len(shapes)} is used." if len(shapes) > 1 else ""


def _axes(dimensions: list[str], attributes: Mapping[str, Any], rank: int) -> str | None:
    """Return the axes as far as the file names all of them, with one letter each."""
    letters = [text.strip().upper() for text in dimensions]
    tags = attributes.get("axistags")
    if tags is not None:
        import json

        text = tags.decode() if isinstance(tags, bytes) else str(tags)
        letters = [str(axis["key"]).upper() for axis in json.loads(text)["axes"]]
    is_complete = len(letters) == rank == len(set(letters)) and {"Y", "X"} <= set(letters)
    return "".join(letters) if is_complete and all(len(one) == 1 for one in letters) else None


def _voxel_size(attributes: Mapping[str, Any]) -> tuple[dict[str, float], str]:
    """Return the size of a voxel in µm by axis, as Fiji and ilastik write it (Z, Y, X)."""
    sizes = np.ravel(attributes.get("element_size_um", ()))
    is_valid = sizes.dtype.kind in "iuf" and len(sizes) == 3 and prod(sizes > 0) == 1
    if not is_valid:
        return {}, PIXEL
    return dict(zip("ZYX", map(float, sizes), strict=True)), "µm"
