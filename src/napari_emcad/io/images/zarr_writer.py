"""Writing labels as OME-Zarr (NGFF 0.5, or 0.4 in an image of that version) with zarr."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.images.file_names import is_zarr
from napari_emcad.io.images.ome_zarr import image_group, ome_attributes, place_of
from napari_emcad.io.images.opened_image import ImageFileError, first_line
from napari_emcad.io.images.optional_libraries import optional_library
from napari_emcad.io.images.pixel_size import OME_ZARR_UNITS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_emcad.io.checkpoints.classes import ClassLabel
    from napari_emcad.io.images.opened_image import ZarrPlace

LABELS_NAME = "emcad"
"""Name of the labels in the group ``labels`` of an image."""

_ORDER = "TCZYX"
"""Axes of NGFF in the order that it demands."""

ZARR_CHUNK, _SMALLEST = 1024, 256
"""Sides in pixels: of a chunk, and below which a level has no coarser one."""

_TEMPORARY = ".napari-emcad-"


def labels_folder(path: Path) -> Path:
    """Return the folder that labels are written to: of an image its group ``labels/emcad``.

    A folder that does not exist, or holds labels already, is the folder itself. Of a file that
    Bio-Formats converted it is the group of the first image, which is read, too.

    Raises
    ------
    ImageFileError
        If the folder is an array, a plate or a well.
    """
    if not is_zarr(path):
        return path
    zarr = optional_library("zarr", path, "zarr")
    node = zarr.open(path, mode="r")
    if isinstance(node, zarr.Array):
        raise ImageFileError(f"{path} is a Zarr array, which holds no labels; name a new folder.")
    if "image-label" in ome_attributes(node):
        return path
    group, _ = image_group(path, node)
    return path.joinpath(group.path, "labels", LABELS_NAME)


def write_zarr_labels(
    path: Path,
    array: NDArray[Any],
    axes: str,
    scale: Mapping[str, float],
    unit: str,
    classes: Sequence[ClassLabel] = (),
    place: ZarrPlace | None = None,
) -> None:
    """Write labels with coarser levels, names and colors; the folder appears when it is complete.

    Parameters
    ----------
    path
        A new folder, labels to replace, or an OME-Zarr image, whose group ``labels`` gets them.
    array, axes
        Labels and a letter per axis.
    scale, unit
        Size of a pixel by axis, as in `OpenedImage`.
    classes
        Names and colors of the labels 1, 2, …
    place
        Axes and transform of an OME-Zarr image, for labels in a folder of their own; they take the
        place of `scale` and `unit`.

    Raises
    ------
    ImageFileError
        If NGFF has no such axes or the folder cannot be written.
    """
    writer = ZarrLabels(path, axes, scale, unit, classes, place)
    with writer.describe_errors():
        writer.target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=writer.target.parent, prefix=_TEMPORARY) as folder:
            complete = Path(folder) / "labels"
            level = writer.create(complete, array.shape, array.dtype)
            level[...] = array
            writer.publish(complete)


def write_zarr_block(level: Path, where: tuple[int | slice, ...], labels: NDArray[Any]) -> None:
    """Write a part of a level that exists; other processes may write other chunks of it."""
    zarr = optional_library("zarr", level, "zarr")
    zarr.open_array(level, mode="r+")[where] = labels


class ZarrLabels:
    """Labels that are written to a folder chunk by chunk, and appear when they are complete.

    Parameters
    ----------
    path, axes, scale, unit, classes, place
        As for `write_zarr_labels`.

    Attributes
    ----------
    target
        The folder of the labels.

    Raises
    ------
    ImageFileError
        If NGFF has no such axes.
    """

    def __init__(
        self,
        path: Path,
        axes: str,
        scale: Mapping[str, float],
        unit: str,
        classes: Sequence[ClassLabel] = (),
        place: ZarrPlace | None = None,
    ) -> None:
        self._zarr = optional_library("zarr", path, "zarr")
        if [letter for letter in _ORDER if letter in axes] != list(axes):
            raise ImageFileError(f"{path.name}: OME-Zarr has no axes {axes}; write .tif or .npy.")
        self._path, self._axes, self._scale, self._unit = path, axes, scale, unit
        self._classes, self._place = classes, place
        self.target = labels_folder(path)
        is_part = self.target != path
        self._image = self._zarr.open_group(self.target.parents[1], mode="r") if is_part else None
        self._version = 3 if self._image is None else self._image.metadata.zarr_format

    @contextmanager
    def describe_errors(self) -> Iterator[None]:
        """Turn errors of the file system into `ImageFileError`."""
        try:
            yield
        except OSError as error:
            raise ImageFileError(f"{self._path} cannot be written: {first_line(error)}.") from None

    def create(self, folder: Path, shape: tuple[int, ...], dtype: Any) -> Any:
        """Create empty labels in a folder and return their finest level, a Zarr array.

        Chunks are planes of 1,024 pixels a side, so rows are best written by multiples of that.
        """
        group = self._zarr.open_group(folder, mode="w", zarr_format=self._version)
        options: dict[str, Any] = {"dimension_names": list(self._axes.lower())}
        if self._version == 2:
            options = {"chunk_key_encoding": {"name": "v2", "separator": "/"}}
        for number, level in enumerate(_level_shapes(shape)):
            sides = tuple(min(ZARR_CHUNK, side) for side in level[-2:])
            chunks = (1,) * (len(level) - 2) + sides
            group.create_array(str(number), shape=level, dtype=dtype, chunks=chunks, **options)
        return group["0"]

    def publish(self, folder: Path) -> None:
        """Compute coarser levels, add the metadata, and move the folder to its place."""
        group = self._zarr.open_group(folder, mode="a", zarr_format=self._version)
        shape = group["0"].shape
        count = len(_level_shapes(shape))
        for number in range(1, count):
            _reduce(group[str(number - 1)], group[str(number)])
        datasets = [_dataset(number, self._axes, self._scale) for number in range(count)]
        is_part, image = self._image is not None, self._image
        units = dict.fromkeys(self._scale, self._unit)
        metadata = _metadata(datasets, self._axes, units, self._classes, is_part)
        place = self._place
        if image is not None:
            place = _place_of_level(image, shape, self._axes)
        if place is not None and set(self._axes) <= set(place.letters):
            _set_place(metadata["multiscales"][0], self._axes, place)
        _set_metadata(group, metadata, self._version)
        if is_part:
            labels = self._zarr.open_group(self.target.parent, mode="a", zarr_format=self._version)
            _register(labels, self._version)
        self.target.parent.mkdir(parents=True, exist_ok=True)
        if self.target.exists():
            shutil.move(self.target, folder.with_name("replaced"))
        shutil.move(folder, self.target)


def _register(labels: Any, version: int) -> None:
    """Add the name of the labels to the list in the group ``labels``."""
    known = ome_attributes(labels).get("labels", [])
    names = [*known, *[LABELS_NAME] * (LABELS_NAME not in known)]
    _set_metadata(labels, {"labels": names}, version)


def _set_metadata(group: Any, metadata: Mapping[str, Any], version: int) -> None:
    if version == 2:  # NGFF 0.4
        group.attrs.update(metadata)
    else:
        group.attrs["ome"] = {**group.attrs.get("ome", {}), "version": "0.5", **metadata}


def _level_shapes(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return the shapes of an array and of its coarser levels, with half the rows and columns."""
    shapes = [tuple(shape)]
    while max(shapes[-1][-2:]) > _SMALLEST:
        *stacked, height, width = shapes[-1]
        shapes.append((*stacked, -(-height // 2), -(-width // 2)))
    return shapes


def _reduce(fine: Any, coarse: Any) -> None:
    """Fill a level with every other row and column of the finer one, a row of chunks at a time."""
    for index in np.ndindex(coarse.shape[:-2]):
        for top in range(0, coarse.shape[-2], ZARR_CHUNK):
            rows = slice(top, min(top + ZARR_CHUNK, coarse.shape[-2]))
            block = fine[(*index, slice(2 * top, 2 * rows.stop))]
            coarse[(*index, rows)] = block[::2, ::2]


def _dataset(number: int, axes: str, scale: Mapping[str, float]) -> dict[str, Any]:
    """Return the entry of a level in the metadata."""
    factors = {axis: 2.0**number if axis in "YX" else 1.0 for axis in axes}
    sizes = [scale.get(axis, 1.0) * factors[axis] for axis in axes]
    transforms = [{"type": "scale", "scale": sizes}]
    return {"path": str(number), "coordinateTransformations": transforms}


def _place_of_level(image: Any, shape: Sequence[int], axes: str) -> ZarrPlace | None:
    """Return the place of the level of an image that labels with a shape and axes belong to."""
    pyramid = (ome_attributes(image).get("multiscales") or [{}])[0]
    for dataset in pyramid.get("datasets", ()):
        place = place_of(dataset, pyramid)
        level = dict(zip(place.letters, image[dataset["path"]].shape, strict=False))
        if [level.get(letter) for letter in axes] == list(shape):
            return place
    return None


def _set_place(multiscale: dict[str, Any], axes: str, place: ZarrPlace) -> None:
    """Give labels the axes with units, the scale and the translation of a level of their image."""
    kept = [place.letters.index(letter) for letter in axes]
    multiscale["axes"] = [place.axes[n] for n in kept]
    for number, level in enumerate(multiscale["datasets"]):
        steps = [2.0**number if letter in "YX" else 1.0 for letter in axes]
        sizes = [place.scale[n] * step for n, step in zip(kept, steps, strict=True)]
        start = [place.translation[n] for n in kept]
        level["coordinateTransformations"] = [
            {"type": "scale", "scale": sizes},
            {"type": "translation", "translation": start},
        ]


def _metadata(
    datasets: Sequence[Mapping[str, Any]],
    axes: str,
    units: Mapping[str, str],
    classes: Sequence[ClassLabel],
    is_part: bool,
) -> dict[str, Any]:
    """Return the metadata of labels: levels, names, colors, and the image that they belong to."""
    kinds = {"T": "time", "C": "channel"}
    entries = [{"name": axis.lower(), "type": kinds.get(axis, "space")} for axis in axes]
    for entry in entries:
        unit = OME_ZARR_UNITS.get(units.get(entry["name"].upper(), ""))
        if entry["type"] == "space" and unit:
            entry["unit"] = unit
    multiscale = {"name": LABELS_NAME, "axes": entries, "datasets": list(datasets)}
    colors = [
        {"label-value": value, "rgba": [*bytes.fromhex(label.color[1:]), 255]}
        for value, label in enumerate(classes, start=1)
    ]
    properties = [
        {"label-value": value, "name": label.name} for value, label in enumerate(classes, start=1)
    ]
    about: dict[str, Any] = {"colors": colors, "properties": properties} if classes else {}
    if is_part:
        about["source"] = {"image": "../../"}
    return {"multiscales": [multiscale], "image-label": about}
