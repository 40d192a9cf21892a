"""Colors and names of classes, as Labels layers and the status bar show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.utils.colormaps import DirectLabelColormap

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_emcad.io.checkpoints.classes import ClassLabel

_UNKNOWN_COLOR = "#ffffff"


def label_colors(classes: Sequence[ClassLabel]) -> DirectLabelColormap:
    """Return the colors of classes 1, 2, … for a Labels layer."""
    colors: dict[int | None, str] = {None: _UNKNOWN_COLOR, 0: "transparent"}
    colors |= {k: label.color for k, label in enumerate(classes, start=1)}
    return DirectLabelColormap(color_dict=colors)


def class_features(classes: Sequence[ClassLabel]) -> dict[str, list[Any]]:
    """Return the layer features with the name of every class."""
    names = ["background", *(label.name for label in classes)]
    return {"index": list(range(len(names))), "class": names}


def object_features(
    classes: Sequence[ClassLabel], object_classes: Mapping[int, int]
) -> dict[str, list[Any]]:
    """Return the layer features with the class name of every object.

    Parameters
    ----------
    classes
        Classes 1, 2, …
    object_classes
        Class of every object, by the number of the object.
    """
    names = ["background", *(classes[k - 1].name for k in object_classes.values())]
    return {"index": [0, *object_classes], "class": names}
