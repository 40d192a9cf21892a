"""What the rows of a table mean on the canvas, and layers of objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_emcad.plugin.layers.placement import placement

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_emcad.pipelines.object_table import ObjectTable


def mean_size(table: ObjectTable, kept: NDArray[np.bool_]) -> str:
    """Return the mean area or volume of the objects that are kept."""
    for name in ("area", "volume"):
        if name in table.columns and kept.any():
            return f"mean {name} {table.columns[name][kept].mean():.4g} {table.units[name]}"
    return ""


def step_columns(layer: Labels, table: ObjectTable) -> list[tuple[int, str]]:
    """Return axis and column of the axes that were measured step by step."""
    names = list(table.columns)
    return list(enumerate(names[: names.index("label")]))


def position(layer: Labels, table: ObjectTable, number: int) -> list[float]:
    """Return the position of an object in the data of its layer."""
    steps = [float(table.columns[name][number]) for _, name in step_columns(layer, table)]
    axes = [name for name in ("centroid_z", "centroid_y", "centroid_x") if name in table.columns]
    return [*steps, *(float(table.columns[name][number]) for name in axes)]


def linked_layer(layer: Labels, labels: NDArray[np.integer]) -> Labels:
    """Return a layer of linked labels that lies where another one lies."""
    return Labels(
        labels,
        name=f"{layer.name} linked",
        opacity=layer.opacity,
        metadata=dict(layer.metadata),
        **placement(layer),
    )


def without_labels(colormap: Any, numbers: list[int], hidden: set[int]) -> Any:
    """Return the colors of labels, with those of hidden ones transparent.

    Parameters
    ----------
    colormap
        Colors of a Labels layer, which are returned if nothing is hidden.
    numbers
        All labels.
    hidden
        Labels to hide.
    """
    if not hidden:
        return colormap
    if isinstance(colormap, DirectLabelColormap):
        colors = dict(colormap.color_dict)
    else:
        colors = {number: colormap.map(number) for number in numbers}
    colors |= dict.fromkeys(hidden, "transparent")
    colors.setdefault(None, "white")
    colors[0] = "transparent"
    return DirectLabelColormap(color_dict=colors)
