"""Kinds of layers: images to segment, and what this panel has added."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from napari.layers import Image

if TYPE_CHECKING:
    from napari.layers import Layer


def added_kind(layer: Layer) -> str:
    """Return the kind of a layer that this panel has added, such as ``"map"``; else ""."""
    metadata = layer.metadata.get("napari-emcad")
    return str(metadata.get("kind", "")) if isinstance(metadata, dict) else ""


def is_map(layer: Layer) -> bool:
    """Return whether a layer shows a stage map."""
    return added_kind(layer) == "map"


def is_image(layer: Layer | None) -> TypeGuard[Image]:
    """Return whether a layer is an image to segment, and no map or probability of this panel."""
    return isinstance(layer, Image) and added_kind(layer) not in ("map", "probability")
