"""Changes of the objects of a Labels layer; every change is one step of napari's undo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari.layers import Labels
    from numpy.typing import NDArray


def why_not_editable(layer: Labels) -> str:
    """Return the reason why the objects of a layer cannot be changed, or ""."""
    data = layer.data
    if layer.multiscale or not isinstance(data, np.ndarray) or not data.flags.writeable:
        return "This layer cannot be changed; duplicate it first."
    return "" if layer.editable else "This layer is being computed."


def set_label(
    layer: Labels, numbers: Sequence[int], value: int, steps: Mapping[int, int] | None = None
) -> None:
    """Give objects another label; 0 removes them.

    Parameters
    ----------
    layer
        Layer of the objects.
    numbers
        Their labels.
    value
        The new label.
    steps
        Index along the axes whose positions have objects of their own, by axis.
    """
    part = tuple((steps or {}).get(axis, slice(None)) for axis in range(layer.ndim))
    mask = np.zeros(layer.data.shape, bool)
    mask[part] = np.isin(layer.data[part], numbers)
    where = np.nonzero(mask)
    if where[0].size:
        layer.data_setitem(where, value)
        layer.refresh()


def split_label(
    layer: Labels,
    number: int,
    plane: tuple[int | slice, ...],
    split: Callable[[NDArray[np.bool_]], NDArray[np.int32]],
) -> int:
    """Split an object in one slice; its largest part keeps the label.

    Parameters
    ----------
    layer
        Layer of the object.
    number
        Label of the object.
    plane
        Index of the slice in the data.
    split
        Returns the parts of a mask, see `napari_emcad.imaging.split_object`.

    Returns
    -------
    int
        Number of parts.

    Raises
    ------
    ValueError
        If it cannot be split; the message is for the user.
    """
    mask = layer.data[plane] == number
    parts = split(mask)
    first = int(layer.data.max())
    count = int(parts.max())
    if first + count - 1 > np.iinfo(layer.data.dtype).max:
        raise ValueError(
            f"The layer has no number left for another object ({layer.data.dtype}); convert it "
            f"with napari (right click, Convert data type) to int32."
        )
    everywhere = np.zeros(layer.data.shape, np.int32)
    everywhere[plane] = parts
    where = np.nonzero(everywhere > 1)
    values = (everywhere[where] + first - 1).astype(layer.data.dtype)
    layer.data_setitem(where, values)
    layer.refresh()
    _name_parts(layer, number, [first + n for n in range(1, count)])
    return count


def _name_parts(layer: Labels, number: int, new: Sequence[int]) -> None:
    """Give the parts of an object its class in the features of the layer."""
    features: Any = layer.features
    if "class" not in features or "index" not in features:
        return
    indices, names = features["index"].tolist(), features["class"].tolist()
    if number in indices:
        name = names[indices.index(number)]
        layer.features = {"index": [*indices, *new], "class": [*names, *[name] * len(new)]}
