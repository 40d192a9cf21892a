"""What is kept from slice to slice while a network is looked into."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from napari_emcad.pipelines.stage_maps import stage_maps_job

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Mapping

    from napari_emcad.imaging.slices import Index
    from napari_emcad.inference.stage_maps.keys import MapKey, StageMap
    from napari_emcad.plugin.stages.request import StageRequest

    Maps = Mapping[MapKey, StageMap]

MOST_BYTES = 256 * 2**20
"""Of maps that are kept; those that were not looked at for longest go first."""


class RecentMaps:
    """Maps of the slices looked at last, as far as they fit.

    Parameters
    ----------
    most
        Bytes.
    """

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._kept: OrderedDict[Index, Maps] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, index: Index, maps: Maps) -> None:
        """Keep the maps of a slice, unless they alone are too large."""
        self._forget(index)
        self._kept[index] = maps
        self.bytes += _bytes(maps)
        while self.bytes > self._most:
            self._forget(next(iter(self._kept)))

    def get(self, index: Index) -> Maps | None:
        """Return the maps of a slice if they are there."""
        maps = self._kept.get(index)
        if maps is not None:
            self._kept.move_to_end(index)
        return maps

    def _forget(self, index: Index) -> None:
        maps = self._kept.pop(index, None)
        self.bytes -= 0 if maps is None else _bytes(maps)


class StageMapCache:
    """One look at an image with one network: what does not depend on the slice.

    Attributes
    ----------
    request
        What it began with; a request that continues it differs in the slice alone.
    cache
        Maps of its slices.
    colors
        Those of features, the same in all slices.
    """

    def __init__(self, request: StageRequest) -> None:
        self.request = request
        self.cache = RecentMaps()
        self.colors: Mapping[MapKey, Any] = {}
        self._network: Any = None

    def job(self, request: StageRequest, stop: threading.Event) -> Generator[Any, None, Any]:
        """Look at a request's slice; the network is made by the first one."""
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

    def rest(self) -> None:
        """Let the network go; the next job makes it again."""
        self._network = None


def _bytes(maps: Maps) -> int:
    return sum(each.values.nbytes for each in maps.values())
