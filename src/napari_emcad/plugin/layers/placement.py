"""Where a layer lies, for layers that lie in the same place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.layers import Layer


def placement(layer: Layer) -> dict[str, Any]:
    """Return the spatial arguments of a layer that lies where another one lies."""
    names = ("affine", "axis_labels", "rotate", "scale", "shear", "translate", "units")
    return {name: getattr(layer, name) for name in names}
