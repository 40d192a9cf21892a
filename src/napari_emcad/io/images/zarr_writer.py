"""Writing labels as OME-Zarr (NGFF 0.5, or 0.4 in an image of that version) with zarr."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

_CHUNK, _SMALLEST = 1024, 256
"""Sides in pixels: of a chunk, and below which a level has no coarser one."""


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
    zarr = optional_library("zarr", path, "zarr")
    if [letter for letter in _ORDER if letter in axes] != list(axes):
        raise ImageFileError(f"{path.name}: OME-Zarr has no axes {axes}; write .tif or .npy.")
    target = labels_folder(path)
    is_part = target != path
    image = zarr.open_group(target.parents[1], mode="r") if is_part else None
    version = 3 if image is None else image.metadata.zarr_format
    try:
        if is_part:
            _register(zarr.open_group(target.parent, mode="a", zarr_format=version), version)
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".napari-emcad-") as folder:
            complete = Path(folder) / "labels"
            group = zarr.open_group(complete, mode="w", zarr_format=version)
            datasets = _write_levels(group, array, axes, scale, version)
            metadata = _metadata(datasets, axes, dict.fromkeys(scale, unit), classes, is_part)
            if image is not None:
                place = _place_of_level(image, array.shape, axes)
            if place is not None and set(axes) <= set(place.letters):
                _set_place(metadata["multiscales"][0], axes, place)
            _set_metadata(group, metadata, version)
            if target.exists():
                shutil.move(target, Path(folder) / "replaced")
            shutil.move(complete, target)
    except OSError as error:
        raise ImageFileError(f"{path} cannot be written: {first_line(error)}.") from None


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


def _levels(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield an array and its coarser levels, of which each has every other row and column."""
    yield array
    while max(array.shape[-2:]) > _SMALLEST:
        array = array[..., ::2, ::2]
        yield array


def _write_levels(
    group: Any, array: NDArray[Any], axes: str, scale: Mapping[str, float], version: int
) -> list[dict[str, Any]]:
    """Write the levels of an array, and return their entries of the metadata."""
    datasets = []
    for number, level in enumerate(_levels(array)):
        options: dict[str, Any] = {"dimension_names": list(axes.lower())}
        if version == 2:
            options = {"chunk_key_encoding": {"name": "v2", "separator": "/"}}
        chunks = (1,) * (level.ndim - 2) + tuple(min(_CHUNK, side) for side in level.shape[-2:])
        group.create_array(str(number), data=level, chunks=chunks, **options)
        factors = {axis: 2.0**number if axis in "YX" else 1.0 for axis in axes}
        sizes = [scale.get(axis, 1.0) * factors[axis] for axis in axes]
        transforms = [{"type": "scale", "scale": sizes}]
        datasets.append({"path": str(number), "coordinateTransformations": transforms})
    return datasets


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
