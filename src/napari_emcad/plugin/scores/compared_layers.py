"""What `compare_labels` needs of two Labels layers, and the layer that shows their differences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_emcad.pipelines.compare_labels import EXTRA, MISSED, OTHER_CLASS, compare_job
from napari_emcad.plugin.layers.kinds import added_kind
from napari_emcad.plugin.layers.placement import placement
from napari_emcad.plugin.objects.measured_layer import class_names, letters_of, pixel_size

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Sequence

    from numpy.typing import NDArray

    from napari_emcad.pipelines.compare_labels import LabelComparison

ERRORS = {MISSED: "missed", EXTRA: "extra", OTHER_CLASS: "other class"}

ERROR_COLORS = {MISSED: "#d55e00", EXTRA: "#56b4e9", OTHER_CLASS: "#f0e442"}
"""Vermilion, sky blue and yellow of the palette of Okabe and Ito, for all kinds of color vision."""


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """A result and its truth, with the names of their classes.

    Attributes
    ----------
    predicted, truth
        The layers.
    names
        Names of classes 1, 2, …
    """

    predicted: Labels
    truth: Labels
    names: tuple[str, ...]

    @property
    def problem(self) -> str:
        """Reason why the layers cannot be compared, or ""."""
        one, other = _shape(self.predicted), _shape(self.truth)
        if self.predicted is self.truth:
            return "Choose two different layers."
        if one != other:
            sizes = " and ".join(" × ".join(map(str, shape)) for shape in (one, other))
            return f"The layers have different sizes, {sizes} pixels."
        return ""


def class_names_of(layer: Labels, model: Sequence[str]) -> tuple[str, ...]:
    """Return the names of classes 1, 2, … of a result.

    Parameters
    ----------
    layer
        Result of a segmentation, or another Labels layer, whose only class is "object".
    model
        Names of the open model, whose order numbered objects of several classes follow.
    """
    named = class_names(layer) or {}
    names = list(dict.fromkeys(name for number, name in sorted(named.items()) if number))
    if len(names) > 1 and set(names) <= set(model):
        return tuple(model)
    return tuple(names) or ("object",)


def job(comparison: Comparison, stop: threading.Event) -> Generator[Any, None, LabelComparison]:
    """Compare the two layers."""
    predicted, names = comparison.predicted, comparison.names
    letters = letters_of(predicted)
    scale, unit = pixel_size(predicted, letters)
    labels = _as_classes(predicted, names)
    return (
        yield from compare_job(
            labels, _array(comparison.truth), len(names), letters, scale, unit, stop
        )
    )


def error_layer(comparison: Comparison, errors: NDArray[np.uint8]) -> Labels:
    """Return a layer of the errors that lies where the result lies."""
    layer = comparison.predicted
    colors: dict[int | None, str] = {None: "transparent", 0: "transparent"}
    colors.update(ERROR_COLORS.items())
    return Labels(
        errors,
        name=f"{layer.name} errors",
        colormap=DirectLabelColormap(color_dict=colors),
        features={"index": [0, *ERRORS], "class": ["", *ERRORS.values()]},
        opacity=0.8,
        metadata={"napari-emcad": {"kind": "errors"}},
        **placement(layer),
    )


def is_error_layer(layer: Labels) -> bool:
    """Return whether a layer shows the errors of a comparison."""
    return added_kind(layer) == "errors"


def _as_classes(layer: Labels, names: Sequence[str]) -> NDArray[Any]:
    """Return labels as classes: numbered objects of several classes get that of their name."""
    labels, named = _array(layer), class_names(layer) or {}
    numbers = {number: names.index(name) + 1 for number, name in named.items() if name in names}
    if len(names) == 1 or all(number == value for number, value in numbers.items()):
        return labels
    table = np.zeros(int(labels.max(initial=0)) + 1, np.int64)
    for number, value in numbers.items():
        if 0 < number < len(table):
            table[number] = value
    classes: NDArray[np.int64] = table[labels]
    return classes


def _array(layer: Labels) -> NDArray[Any]:
    return np.asarray(layer.data[0] if layer.multiscale else layer.data)


def _shape(layer: Labels) -> tuple[int, ...]:
    return tuple((layer.data[0] if layer.multiscale else layer.data).shape)
