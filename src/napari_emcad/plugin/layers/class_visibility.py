"""Which classes of a Labels layer are visible: hidden ones are transparent in its colormap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

if TYPE_CHECKING:
    from collections.abc import Collection


def class_names(layer: Any) -> dict[int, str]:
    """Return the names of the classes of a Labels layer by number, without the background.

    They are empty for layers whose values are not classes with colors of their own.
    """
    if not isinstance(layer, Labels) or not isinstance(layer.colormap, DirectLabelColormap):
        return {}
    features = layer.features
    if "class" not in features or "index" not in features:
        return {}
    colors = layer.colormap.color_dict
    pairs = zip(features["index"], features["class"], strict=True)
    return {int(k): str(name) for k, name in pairs if int(k) > 0 and int(k) in colors}


def class_color(layer: Labels, k: int) -> tuple[int, int, int]:
    """Return the color of a class, also of a hidden one, as red, green and blue in 0 … 255."""
    red, green, blue = (round(255 * float(part)) for part in layer.colormap.color_dict[k][:3])
    return red, green, blue


def hidden_classes(layer: Labels) -> frozenset[int]:
    """Return the numbers of the classes that are hidden."""
    colors = layer.colormap.color_dict
    return frozenset(k for k in class_names(layer) if not colors[k][3])


def hide_classes(layer: Labels, hidden: Collection[int]) -> None:
    """Hide these classes of a Labels layer, and show all others; colors stay."""
    colors = dict(layer.colormap.color_dict)
    for k in class_names(layer):
        colors[k] = (*colors[k][:3], 0.0 if k in hidden else 1.0)
    layer.colormap = DirectLabelColormap(color_dict=colors)
