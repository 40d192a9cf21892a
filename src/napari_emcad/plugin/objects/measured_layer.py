"""What `measure` needs of a Labels layer: axes, pixel size and unit, class names, intensities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pint

from napari_emcad.io.images.pixel_size import PIXEL

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator

    from napari.layers import Image, Labels
    from numpy.typing import NDArray

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


def link_job(
    layer: Labels, overlap: float, _: threading.Event
) -> Generator[Any, None, NDArray[np.integer]]:
    """Return the labels of a stack with one number for objects that go through its slices."""
    from napari_emcad.imaging.link_objects import link_objects

    yield from ()
    letters = letters_of(layer)
    along = "Z" if "Z" in letters else letters[0]
    labels = np.asarray(layer.data[0] if layer.multiscale else layer.data)
    return link_objects(labels, letters, along, overlap=overlap)[0]


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
