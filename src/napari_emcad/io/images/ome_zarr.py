"""Reading OME-Zarr images (NGFF 0.1 to 0.5) and plain Zarr arrays, plane by plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.images.opened_image import ImageFileError, OpenedImage, ZarrPlace
from napari_emcad.io.images.optional_libraries import optional_library
from napari_emcad.io.images.pixel_size import PIXEL, in_one_unit
from napari_emcad.io.images.pyramid import check_level

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.io.images.read_options import ReadOptions

_OLDEST_AXES = "tczyx"
"""Axes of NGFF 0.1 and 0.2, whose metadata do not name them."""

_LETTERS = {"channel": "C", "time": "T"}
"""Axis letters by type; axes of space have their names."""


def read_zarr(path: Path, options: ReadOptions) -> OpenedImage:
    """Read an image of a Zarr folder, or its labels if `options` want labels; it stays on disk.

    Raises
    ------
    ImageFileError
        If zarr is not installed, the folder holds a plate, several arrays, no image, or not the
        level or labels that are asked for.
    """
    zarr = optional_library("zarr", path, "zarr")
    node = zarr.open(path, mode="r")
    if isinstance(node, zarr.Array):
        return OpenedImage(node)
    group, note = image_group(path, node)
    attributes = ome_attributes(group)
    is_labels = "image-label" in attributes
    if options.as_labels and not is_labels and "labels" in group:
        group = _labels_group(path, group["labels"], options.label_key)
        attributes, is_labels = ome_attributes(group), True
    multiscales = attributes.get("multiscales")
    if not multiscales:
        return OpenedImage(_only_array(path, group), note=note)
    if len(multiscales) > 1:
        note = f"{note} {path.name} has {len(multiscales)} pyramids; the first is used.".strip()
    return _read_pyramid(path, group, multiscales[0], options.level, note, is_labels)


def ome_attributes(group: Any) -> Mapping[str, Any]:
    """Return the OME metadata of a group; since NGFF 0.5 they have a name of their own."""
    attributes = group.attrs.asdict()
    ome: Mapping[str, Any] = attributes.get("ome", attributes)
    return ome


def image_group(path: Path, node: Any) -> tuple[Any, str]:
    """Return the group of the first image, and a note if there are several."""
    attributes = ome_attributes(node)
    if "plate" in attributes:
        wells = [well.get("path", "") for well in attributes["plate"].get("wells", [])]
        example = path / (wells[0] if wells else "A/1") / "0"
        raise ImageFileError(f"{path} is a plate of {len(wells)} wells; name an image: {example}.")
    if "well" in attributes:
        fields = [image.get("path", "") for image in attributes["well"].get("images", [])]
        example = path / (fields[0] if fields else "0")
        raise ImageFileError(f"{path} is a well of {len(fields)} images; name one: {example}.")
    if "multiscales" in attributes or "bioformats2raw.layout" not in attributes:
        return node, ""
    images = sorted((key for key in node.group_keys() if key.isdigit()), key=int)
    if not images:
        raise ImageFileError(f"{path} has no image in it.")
    note = f"{path.name} holds {len(images)} images; the first is used." if images[1:] else ""
    return node[images[0]], note


def _labels_group(path: Path, labels: Any, name: str | None) -> Any:
    names = ome_attributes(labels).get("labels") or sorted(labels.group_keys())
    if name is not None and name not in names:
        raise ImageFileError(f"{path} has no labels {name}; it has {', '.join(names) or 'none'}.")
    if name is None and len(names) != 1:
        raise ImageFileError(
            f"{path} has {len(names)} labels ({', '.join(names)}); choose with --label-key."
        )
    return labels[name or names[0]]


def _only_array(path: Path, group: Any) -> Any:
    arrays = dict(group.arrays())
    if len(arrays) != 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in sorted(arrays.items()))
        raise ImageFileError(
            f"{path} is no OME-Zarr image and has {len(arrays)} arrays"
            + (f" ({shapes}); name one as {path / min(arrays)}." if arrays else ".")
        )
    return next(iter(arrays.values()))


def _read_pyramid(
    path: Path,
    group: Any,
    multiscale: Mapping[str, Any],
    level: int | None,
    note: str,
    is_labels: bool,
) -> OpenedImage:
    datasets = multiscale["datasets"]
    dataset = datasets[check_level(path, level, len(datasets))]
    array = group[dataset["path"]]
    axes = [axis_and_unit(axis) for axis in multiscale.get("axes", _OLDEST_AXES)]
    letters = "".join(letter for letter, _ in axes)
    if len(axes) != array.ndim or len(set(letters)) != len(letters):
        raise ImageFileError(
            f"{path}: its metadata name the axes {letters}, its array has the shape {array.shape}."
        )
    place = place_of(dataset, multiscale)
    entries = zip(letters, place.scale, (unit for _, unit in axes), strict=True)
    scale, unit = in_one_unit([entry for entry in entries if entry[0] in "ZYX"])
    count = len(datasets)
    return OpenedImage(
        array, letters, None, note, scale, unit, is_labels=is_labels, levels=count, place=place
    )


def axis_and_unit(axis: str | Mapping[str, str]) -> tuple[str, str]:
    """Return the letter of an axis and its unit; before NGFF 0.4 axes are names alone."""
    if isinstance(axis, str):
        return axis[:1].upper(), PIXEL
    letter = _LETTERS.get(axis.get("type", ""), axis["name"][:1].upper())
    return letter, axis.get("unit", PIXEL)


def place_of(dataset: Mapping[str, Any], multiscale: Mapping[str, Any]) -> ZarrPlace:
    """Return where a level lies: the transforms of the level, then those of the image."""
    axes = tuple(_axis_entry(axis) for axis in multiscale.get("axes", _OLDEST_AXES))
    scale, translation = np.ones(len(axes)), np.zeros(len(axes))
    for owner in (dataset, multiscale):
        for transform in owner.get("coordinateTransformations", ()):
            if "path" in transform:
                raise ImageFileError(
                    f"its {transform.get('type')} is in another array ({transform['path']}), which "
                    f"is not read; write the numbers into its metadata."
                )
            factor = _numbers(transform.get("scale", [1.0] * len(axes)), len(axes))
            shift = _numbers(transform.get("translation", [0.0] * len(axes)), len(axes))
            scale, translation = scale * factor, translation * factor + shift
    letters = "".join(axis_and_unit(axis)[0] for axis in axes)
    return ZarrPlace(axes, letters, tuple(scale.tolist()), tuple(translation.tolist()))


def _axis_entry(axis: str | Mapping[str, str]) -> Mapping[str, str]:
    """Return the entry that metadata have had for an axis since NGFF 0.4."""
    if not isinstance(axis, str):
        return axis
    return {"name": axis, "type": {"t": "time", "c": "channel"}.get(axis, "space")}


def _numbers(values: Sequence[float], count: int) -> NDArray[np.float64]:
    numbers = np.array(values, float)
    if numbers.shape != (count,):
        raise ValueError("a transform has another number of axes")
    return numbers
