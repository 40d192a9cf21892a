"""What the rows of a table mean on the canvas."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from napari.layers import Labels
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
