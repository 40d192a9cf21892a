"""Notices when the pixels of an image layer change, also in place: ``layer.data[...] = …``."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from psygnal import Signal

from napari_emcad.imaging.fingerprint import checksum

if TYPE_CHECKING:
    from napari.layers import Image

_MOST_BYTES = 2**24
"""Bytes of the drawn slice that are compared."""

_MOST_PLACES = 256
"""Number of slices whose checksums are kept."""


class PixelEvents:
    """Follows the pixels of one layer.

    napari emits the same event when a layer is drawn again after ``layer.refresh()`` as when a
    slider moves; they differ in what is drawn. A slice that changed while it was hidden is
    noticed when it is drawn again.

    Attributes
    ----------
    revision
        Number that grows when pixels may have changed.
    changed
        Emitted when the layer has other data, or other pixels were drawn at the same place.
    """

    changed = Signal()

    def __init__(self, layer: Image) -> None:
        self._layer = weakref.ref(layer)
        self.revision = 0
        self._place = _drawn_place(layer)
        self._seen = {self._place: _drawn_checksum(layer)}
        layer.events.data.connect(self._data_replaced)
        layer.events.set_data.connect(self._drawn_again)

    def _data_replaced(self, _: object = None) -> None:
        self._seen.clear()
        self.revision += 1
        self.changed.emit()

    def _drawn_again(self, _: object = None) -> None:
        layer = self._layer()
        if layer is None:
            return
        place, drawn = _drawn_place(layer), _drawn_checksum(layer)
        has_other_pixels = self._seen.get(place, drawn) != drawn
        was_refreshed = place == self._place
        self._place, self._seen[place] = place, drawn
        if len(self._seen) > _MOST_PLACES:
            self._seen.pop(next(iter(self._seen)))
        if was_refreshed or has_other_pixels:
            self.revision += 1
        if has_other_pixels:
            self.changed.emit()


_events: WeakKeyDictionary[Image, PixelEvents] = WeakKeyDictionary()


def pixel_events(layer: Image) -> PixelEvents:
    """Return the events of a layer's pixels; it is followed from the first call on."""
    if layer not in _events:
        _events[layer] = PixelEvents(layer)
    return _events[layer]


def _drawn_place(layer: Image) -> Any:
    """Return which part of which slice is drawn."""
    return layer._slice_input, layer.data_level, layer.corner_pixels.tobytes()


def _drawn_checksum(layer: Image) -> int:
    return checksum(layer._slice.image.raw, _MOST_BYTES)
