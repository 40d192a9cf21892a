"""Images told from each other for as long as the program runs, whichever layer shows them.

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
        self._numbers = count(1)
        self._layers: dict[Hashable, int] = {}
        self._files: dict[Hashable, int] = {}
        self._arrays: dict[int, tuple[weakref.ref[Any], int]] = {}

    def key(self, layer: Image) -> Hashable:
        """Return the key of a layer's image: that of the layer, else of its array or its file."""
        array = levels(layer)[0].array
        found = self._layers.get(layer.unique_id) or self._of_array(array)
        file = (layer.source.path, layer.name, tuple(array.shape))
        if not found and layer.source.path:
            found = self._files.get(file)
        number = found or next(self._numbers)
        self._layers[layer.unique_id] = number
        if layer.source.path:
            self._files.setdefault(file, number)
        self._remember(array, number)
        return number

    def _of_array(self, array: Any) -> int | None:
        known, number = self._arrays.get(id(array), (None, None))
        return number if known is not None and known() is array else None

    def _remember(self, array: Any, number: int) -> None:
        if self._of_array(array) is None:
            try:
                self._arrays[id(array)] = weakref.ref(array), number
            except TypeError:  # it cannot be followed; its layer and file can
                return


IMAGE_IDENTITY = ImageIdentity()
