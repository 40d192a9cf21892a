"""Measure the objects of a label image: size, shape, place and intensity, in physical units."""

from __future__ import annotations

from itertools import product
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.measure import regionprops_table

from napari_emcad.imaging.label_axes import label_axes
from napari_emcad.io.images.pixel_size import OME_ZARR_UNITS, PIXEL, in_mm
from napari_emcad.pipelines.object_table import ObjectTable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_SPATIAL = "ZYX"

_ML_PER_MM3 = 1e-3

_TINY = 1e-12


def measure(
    labels: Any,
    image: Any = None,
    axes: str | None = None,
    *,
    scale: Mapping[str, float] | None = None,
    unit: str = PIXEL,
    probabilities: Any = None,
    classes: Mapping[int, str] | None = None,
) -> ObjectTable:
    """Measure every label of a label image.

    Parameters
    ----------
    labels
        Integer array; 0 is the background. All pixels of one value are one object.
    image
        Image of the shape of `labels`, or with channels as one more, last axis: its intensities.
    axes
        A letter per axis of `labels`; None for YX, ZYX or TZYX. Z, Y and X are measured together,
        in volumes; other axes are measured step by step, with a column for their index.
    scale
        Size of a pixel by axis letter, in `unit`; None is 1 for all axes.
    unit
        Unit of length of `scale`.
    probabilities
        Probabilities of `segment`, ``(K, …)``: the mean of the predicted class and of the entropy.
    classes
        Names of classes by label.

    Returns
    -------
    ObjectTable
        ``label``; ``class`` if given; ``pixels``; ``area``, or ``volume`` (and ``volume_mL``);
        ``centroid_…`` in pixels; the bounding box in pixels, first pixel inside
        (``first_…``) to last pixel inside (``last_…``); in 2-D ``feret_diameter`` and
        ``eccentricity``; ``touches_border``; ``intensity_mean`` and ``intensity_std`` (per
        channel); ``probability_mean`` and ``uncertainty_mean`` (entropy, 0 … 1).

    Raises
    ------
    ValueError
        If shapes do not match, labels are not whole numbers, axes do not fit, or the scale lacks
        an axis.

    Examples
    --------
    >>> table = napari_emcad.measure(labels, image, scale={"Y": 0.5, "X": 0.5}, unit="µm")
    ... # doctest: +SKIP
    >>> table.columns["area"].mean()  # doctest: +SKIP
    """
    array = np.asarray(labels)
    letters = label_axes(array, axes)
    if "C" in letters or not array.size:
        raise ValueError(f"Labels have no channels, and some pixels: {letters}, {array.shape}.")
    channels = _channels_last(image, array)
    maps = {} if probabilities is None else _probability_maps(np.asarray(probabilities), array)
    spatial = [axis for axis, letter in enumerate(letters) if letter in _SPATIAL]
    steps = [axis for axis in range(array.ndim) if axis not in spatial]
    sizes = _pixel_sizes([letters[axis] for axis in spatial], scale)
    tables = []
    for index in product(*(range(array.shape[axis]) for axis in steps)):
        where = _index_of(index, steps, array.ndim)
        columns = {letters[axis].lower(): step for axis, step in zip(steps, index, strict=True)}
        measured = _measure_frame(
            array[where],
            None if channels is None else channels[where],
            {name: one[where] for name, one in maps.items()},
            sizes,
        )
        count = len(measured["label"])
        tables.append({name: np.full(count, step) for name, step in columns.items()} | measured)
    joined = {name: np.concatenate([one[name] for one in tables]) for name in tables[0]}
    return ObjectTable(MappingProxyType(_named(joined, classes, unit)), _units(joined, unit))


def _pixel_sizes(letters: Sequence[str], scale: Mapping[str, float] | None) -> dict[str, float]:
    """Return the size of a pixel by axis letter."""
    if not scale:
        return dict.fromkeys(letters, 1.0)
    if missing := [letter for letter in letters if letter not in scale]:
        raise ValueError(
            f"The size of a pixel along {', '.join(missing)} is not known; give the sizes along "
            f"{', '.join(letters)}."
        )
    return {letter: float(scale[letter]) for letter in letters}


def _channels_last(image: Any, labels: NDArray[Any]) -> NDArray[Any] | None:
    """Return an image with channels as its last axis; None if there is none."""
    if image is None:
        return None
    pixels = np.asarray(image)
    if pixels.shape == labels.shape:
        return pixels[..., None]
    if pixels.shape[:-1] == labels.shape:
        return pixels
    raise ValueError(
        f"The image has the shape {pixels.shape}, its labels {labels.shape}; they must agree, "
        "except for channels as the image's last axis."
    )


def _probability_maps(
    probabilities: NDArray[Any], labels: NDArray[Any]
) -> dict[str, NDArray[np.floating]]:
    """Return the probability of the likeliest class and the entropy, 0 … 1, of every pixel."""
    if probabilities.shape[1:] != labels.shape:
        raise ValueError(
            f"The probabilities have the shape {probabilities.shape}, the labels {labels.shape}; "
            "they need classes as their first axis."
        )
    p = probabilities.astype(np.float64)
    p = np.concatenate([1 - p, p]) if len(p) == 1 else p
    entropy = -(p * np.log(p.clip(_TINY))).sum(0) / np.log(len(p))
    return {"probability_mean": p.max(0), "uncertainty_mean": entropy}


def _index_of(index: Sequence[int], steps: Sequence[int], ndim: int) -> tuple[Any, ...]:
    where: list[Any] = [slice(None)] * ndim
    for axis, step in zip(steps, index, strict=True):
        where[axis] = step
    return tuple(where)


def _measure_frame(
    labels: NDArray[Any],
    image: NDArray[Any] | None,
    maps: Mapping[str, NDArray[Any]],
    sizes: Mapping[str, float],
) -> dict[str, NDArray[Any]]:
    """Return the columns of the objects of an area or a volume.

    Parameters
    ----------
    labels
        ``(Y, X)`` or ``(Z, Y, X)``, in any order.
    image
        The same with channels last.
    maps
        Further values of pixels by name of column.
    sizes
        Size of a pixel by axis letter, in the order of the axes.
    """
    letters, spacing = list(sizes), tuple(sizes.values())
    labels = labels.astype(np.int64 if labels.dtype.kind != "b" else np.uint8)
    flat = labels.ndim == 2
    shape = ("eccentricity", "feret_diameter_max") if flat else ()
    names = ("label", "num_pixels", "area", "centroid", "bbox", *shape)
    found = regionprops_table(labels, properties=names, spacing=spacing)
    columns = {"label": found["label"], "pixels": found["num_pixels"]}
    columns["area" if flat else "volume"] = found["area"].astype(float)
    ends = {}
    for axis, letter in enumerate(letters):
        name = letter.lower()
        columns[f"centroid_{name}"] = found[f"centroid-{axis}"] / spacing[axis]
        ends[f"first_{name}"] = found[f"bbox-{axis}"]
        ends[f"last_{name}"] = found[f"bbox-{axis + len(letters)}"] - 1
    columns |= ends
    if flat:
        columns["feret_diameter"] = found["feret_diameter_max"].astype(float)
        columns["eccentricity"] = found["eccentricity"].astype(float)
    columns["touches_border"] = _touches_border(ends, letters, labels.shape)
    columns |= _intensities(labels, image)
    return columns | {name: _mean_and_std(labels, one)[0] for name, one in maps.items()}


def _touches_border(
    ends: Mapping[str, NDArray[Any]], letters: Sequence[str], shape: Sequence[int]
) -> NDArray[np.bool_]:
    """Return which objects touch a border; along an axis of one pixel there is none."""
    touching = np.zeros(len(ends["first_y"]), bool)
    for letter, size in zip(letters, shape, strict=True):
        name = letter.lower()
        if size > 1:
            touching |= (ends[f"first_{name}"] == 0) | (ends[f"last_{name}"] == size - 1)
    return touching


def _intensities(
    labels: NDArray[Any], image: NDArray[Any] | None
) -> dict[str, NDArray[np.float64]]:
    """Return mean and standard deviation of the intensities, of every channel if there are some."""
    if image is None:
        return {}
    columns = {}
    for channel in range(image.shape[-1]):
        suffix = f"_{channel}" if image.shape[-1] > 1 else ""
        mean, deviation = _mean_and_std(labels, image[..., channel])
        columns[f"intensity_mean{suffix}"] = mean
        columns[f"intensity_std{suffix}"] = deviation
    return columns


def _mean_and_std(
    labels: NDArray[Any], values: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of the values of every label above 0, by label."""
    inside = labels > 0
    _, rows = np.unique(labels[inside], return_inverse=True)
    pixels, counts = values[inside].astype(np.float64), np.bincount(rows)
    mean = np.bincount(rows, pixels) / counts
    return mean, np.sqrt(np.bincount(rows, (pixels - mean[rows]) ** 2) / counts)


def _named(
    columns: dict[str, NDArray[Any]], classes: Mapping[int, str] | None, unit: str
) -> dict[str, NDArray[Any]]:
    """Return columns with class names behind the labels, and volumes of known units in mL."""
    result = {}
    for name, column in columns.items():
        result[name] = column
        if name == "label" and classes is not None:
            names = [classes.get(int(number), "") for number in column]
            result["class"] = np.array(names, dtype=object)
        if name == "volume" and unit in OME_ZARR_UNITS:
            result["volume_mL"] = column * in_mm(unit) ** 3 * _ML_PER_MM3
    return result


def _units(columns: Mapping[str, NDArray[Any]], unit: str) -> dict[str, str]:
    """Return the units of the columns that have one."""
    units = {"area": f"{unit}²", "volume": f"{unit}³", "feret_diameter": unit}
    return {name: text for name, text in units.items() if name in columns}
