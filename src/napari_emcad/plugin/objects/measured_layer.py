"""What `measure` needs of a Labels layer: axes, pixel size and unit, class names, intensities."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import pint

from napari_emcad.imaging.link_objects import link_axis, link_planes
from napari_emcad.inference.events import Progress
from napari_emcad.io.images.pixel_size import PIXEL
from napari_emcad.io.scratch_array import scratch_array

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator

    from napari.layers import Image, Labels
    from numpy.typing import NDArray

    from napari_emcad.imaging.link_objects import LinkSettings
    from napari_emcad.pipelines.object_table import ObjectTable

_UNITS = {
    "nanometer": "nm",
    "micrometer": "µm",
    "millimeter": "mm",
    "centimeter": "cm",
    "meter": "m",
    "inch": "inch",
}
"""Units of length by their names in pint."""

_STEPS = "TSPQRUVW"
"""Letters of axes that are measured step by step."""


def letters_of(layer: Labels) -> str:
    """Return a letter per axis: Y and X are the last ones, a third is Z unless it is named t."""
    names = [str(name).lower() for name in layer.axis_labels[:-2]]
    letters: list[str] = []
    free = [letter for letter in _STEPS if letter.lower() not in names]
    for position, name in enumerate(names):
        known = name[:1].upper() if name[:1] in ("t", "z") else ""
        last = position == len(names) - 1
        wanted = known or ("Z" if last and "z" not in names else "")
        letters.append(wanted if wanted and wanted not in letters else free.pop(0))
    return "".join([*letters, "Y", "X"])


def pixel_size(layer: Labels, letters: str) -> tuple[dict[str, float], str]:
    """Return the size of a pixel by axis letter, and its unit of length."""
    registry: Any = pint.get_application_registry()  # type: ignore[no-untyped-call]
    quantities = {
        letter: registry.Quantity(abs(float(size)), unit)
        for letter, size, unit in zip(letters, layer.scale, layer.units, strict=True)
    }
    unit = quantities["X"].units
    if str(unit) not in _UNITS:
        return dict.fromkeys("ZYX", 1.0), PIXEL
    try:
        sizes = {key: float(quantities[key].to(unit).magnitude) for key in "ZYX" if key in letters}
    except pint.DimensionalityError:
        return dict.fromkeys("ZYX", 1.0), PIXEL
    return sizes, _UNITS[str(unit)]


def class_names(layer: Labels) -> dict[int, str] | None:
    """Return the class of every label from the layer's features; None if they name none."""
    features = layer.features
    if "class" not in features:
        return None
    numbers = features.get("index", features.index)
    return dict(zip(map(int, numbers), map(str, features["class"]), strict=True))


def intensities(layer: Labels, image: Image | None) -> Any:
    """Return the pixels of an image that lies on a layer, channels last; None of another one."""
    if image is None or image.multiscale or layer.multiscale:
        return None
    shape = tuple(image.data.shape)
    shape = shape[:-1] if image.rgb else shape
    placed = np.array_equal(image.scale, layer.scale) and np.array_equal(
        image.translate, layer.translate
    )
    return image.data if shape == tuple(layer.data.shape) and placed else None


@dataclass(frozen=True, slots=True, eq=False)
class Linked:
    """Labels of a stack with one number for objects that go through its slices.

    Attributes
    ----------
    labels
        The numbers; those of a layer that is not in memory lie in a temporary file.
    count
        Number of objects.
    """

    labels: NDArray[np.uint32]
    count: int


def link_job(
    layer: Labels, settings: LinkSettings, stop: threading.Event
) -> Generator[Progress, None, Linked | None]:
    """Link the objects of a layer, slice by slice; return None if it is stopped."""
    labels = layer.data[0] if layer.multiscale else layer.data
    letters, first_numbers = letters_of(layer), list[int]()
    new = np.zeros if isinstance(labels, np.ndarray) else scratch_array
    result = new(tuple(labels.shape), np.uint32)
    total = prod(size for size, one in zip(labels.shape, letters, strict=True) if one not in "YX")
    planes = link_planes(labels, letters, link_axis(letters), settings, None, first_numbers)
    for done, (where, plane) in enumerate(planes, 1):
        result[where] = plane
        yield Progress(done, total)
        if stop.is_set() and done < total:
            return None
    return Linked(result, len(first_numbers))


def measure_job(
    layer: Labels, image: Image | None, _: threading.Event
) -> Generator[Any, None, ObjectTable]:
    """Measure the objects of a layer, and their intensities in an image that lies on it."""
    from napari_emcad.pipelines.measure import measure

    yield from ()
    letters = letters_of(layer)
    scale, unit = pixel_size(layer, letters)
    return measure(
        np.asarray(layer.data[0] if layer.multiscale else layer.data),
        intensities(layer, image),
        letters,
        scale=scale,
        unit=unit,
        classes=class_names(layer),
    )
