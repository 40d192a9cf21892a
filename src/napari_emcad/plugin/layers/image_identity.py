"""Identifies images for as long as the program runs, independently of their layers.

Training pixels of an image stay training pixels when its layer is removed and added again.
"""

from __future__ import annotations

import weakref
from itertools import count
from typing import TYPE_CHECKING, Any

from napari_emcad.plugin.layers.geometry import levels

if TYPE_CHECKING:
    from collections.abc import Hashable

    from napari.layers import Image


class ImageIdentity:
    """Remembers layers, arrays and files, and gives those of one image the same key."""

    def __init__(self) -> None:
        self._counter = count(1)
        self._layers: dict[Hashable, int] = {}
        self._files: dict[Hashable, int] = {}
        self._arrays: dict[int, tuple[weakref.ref[Any], int]] = {}

    def key(self, layer: Image) -> Hashable:
        """Return the key of a layer's image, known by its layer, else its array, else its file."""
        array = levels(layer)[0].array
        known = self._layers.get(layer.unique_id) or self._key_of_array(array)
        file = (layer.source.path, layer.name, tuple(array.shape))
        if not known and layer.source.path:
            known = self._files.get(file)
        key = known or next(self._counter)
        self._layers[layer.unique_id] = key
        if layer.source.path:
            self._files.setdefault(file, key)
        self._remember_array(array, key)
        return key

    def _key_of_array(self, array: Any) -> int | None:
        reference, key = self._arrays.get(id(array), (None, None))
        return key if reference is not None and reference() is array else None

    def _remember_array(self, array: Any, key: int) -> None:
        if self._key_of_array(array) is None:
            try:
                self._arrays[id(array)] = weakref.ref(array), key
            except TypeError:  # no weak reference possible; layer and file identify the image
                return


IMAGE_IDENTITY = ImageIdentity()
