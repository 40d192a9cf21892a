"""Maps of recently visible slices, and the network that computes them."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from napari_emcad.pipelines.stage_maps_job import stage_maps_job

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Hashable, Mapping

    from napari_emcad.inference.stage_maps.keys import MapKey, StageMap
    from napari_emcad.plugin.stages.request import StageRequest

    Maps = Mapping[MapKey, StageMap]

MOST_BYTES = 256 * 2**20
"""Memory for maps; the least recently used ones are dropped first."""


class RecentMaps:
    """Least recently used cache of the maps of slices; a key is a slice and its pixels' state.

    Parameters
    ----------
    most_bytes
        Memory to use.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._maps: OrderedDict[Hashable, Maps] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._maps)

    def put(self, key: Hashable, maps: Maps) -> None:
        """Add the maps of a slice, unless they alone are too large."""
        self._drop(key)
        self._maps[key] = maps
        self.bytes += _size(maps)
        while self.bytes > self._most_bytes:
            self._drop(next(iter(self._maps)))

    def get(self, key: Hashable) -> Maps | None:
        """Return the maps of a slice; None if they are not there."""
        maps = self._maps.get(key)
        if maps is not None:
            self._maps.move_to_end(key)
        return maps

    def _drop(self, key: Hashable) -> None:
        maps = self._maps.pop(key, None)
        self.bytes -= 0 if maps is None else _size(maps)


class StageMapCache:
    """What the slices of one request share: network, colors and maps.

    Parameters
    ----------
    request
        First request; requests that continue it differ in the slice alone.

    Attributes
    ----------
    request
        First request.
    maps
        Maps of recently visible slices.
    colors
        Colors of features, the same for all slices.
    """

    def __init__(self, request: StageRequest) -> None:
        self.request = request
        self.maps = RecentMaps()
        self.colors: Mapping[MapKey, Any] = {}
        self._network: Any = None

    def job(self, request: StageRequest, stop: threading.Event) -> Generator[Any, None, Any]:
        """Compute the maps of a request; the first job makes the network."""
        if self._network is None:
            self._network = request.checkpoint.network()
        return (
            yield from stage_maps_job(
                request.slices,
                request.checkpoint,
                request.computed,
                request.settings,
                stop,
                temperature=request.temperature,
                colors=self.colors,
                network=self._network,
            )
        )

    def drop_network(self) -> None:
        """Free the network; the next job makes it again."""
        self._network = None


def _size(maps: Maps) -> int:
    return sum(stage_map.values.nbytes for stage_map in maps.values())
