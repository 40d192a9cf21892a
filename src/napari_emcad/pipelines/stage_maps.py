"""Stage maps of an image: attention gates, features and predictions inside the network."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from napari_emcad.inference.events import Notice, Progress, RangeNotice
from napari_emcad.inference.stage_maps.keys import (
    MapKey,
    StageMap,
    parse_map_keys,
)
from napari_emcad.inference.uncertainty import as_temperature
from napari_emcad.pipelines.segment import merge_settings, slices_for
from napari_emcad.pipelines.segmentation_model import check_checkpoint
from napari_emcad.pipelines.stage_maps_job import check_maps, stage_maps_job
from napari_emcad.pipelines.warn import warn_if_out_of_range

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_emcad.imaging.slices import Index, Scope, Slices
    from napari_emcad.inference.events import InferenceSettings
    from napari_emcad.inference.stage_maps.extract import SliceMaps
    from napari_emcad.inference.stage_maps.pca import PcaColors
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint

    OnEvent = Callable[[Progress | Notice], object]


class StageMaps:
    """The maps of an image, computed slice by slice on access; made by `stage_maps`.

    ``maps[0]`` are the maps of the first slice, ``maps[t, z]`` those of a position along the
    stacked axes; iteration yields all slices in order. The maps of the last slice are cached. All
    slices use the feature colors that were fitted to the first computed one.
    """

    def __init__(
        self,
        slices: Slices,
        checkpoint: Checkpoint,
        keys: tuple[MapKey, ...],
        settings: InferenceSettings,
        temperature: float,
        stop: threading.Event,
        on_event: OnEvent | None,
    ) -> None:
        self._slices = slices
        self._checkpoint = checkpoint
        self._keys = keys
        self._settings = settings
        self._temperature = temperature
        self._stop = stop
        self._on_event = on_event
        self._colors: Mapping[MapKey, PcaColors] = {}
        self._last: tuple[Index, dict[str, StageMap]] | None = None
        self._warned = False

    @property
    def names(self) -> tuple[str, ...]:
        """Short names of the maps."""
        return tuple(map(str, self._keys))

    @property
    def indices(self) -> Sequence[Index]:
        """Positions of all slices along the stacked axes; one empty position for a 2-D image."""
        return cast("Sequence[Index]", self._slices.indices)

    @property
    def stacked_axes(self) -> str:
        """Letters of the stacked axes."""
        return "".join(axis for axis in self._slices.spatial_axes if axis not in "YX")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the slices in pixels, within the scope."""
        return self._slices.height, self._slices.width

    @property
    def rows_first(self) -> bool:
        """Whether Y comes before X in the image, and so in the maps."""
        return not self._slices.transposed

    @property
    def checkpoint(self) -> Checkpoint:
        """Checkpoint whose maps are computed."""
        return self._checkpoint

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[dict[str, StageMap]]:
        return (self[index] for index in self.indices)

    def __getitem__(self, index: int | Index) -> dict[str, StageMap]:
        """Return the maps of a slice by their short names.

        Raises
        ------
        IndexError
            If there is no such slice.
        InterruptedError
            If `stop` was set before the slice was complete.
        MemoryError
            If there is not enough memory for the smallest tile.
        NotFinite
            If the output of the network is not finite.
        """
        position = self._position(index)
        if self._last is None or self._last[0] != position:
            self._last = None  # free its memory first
            self._last = position, self._compute(position)
        return dict(self._last[1])

    def picture(self, index: int | Index, largest: int = 1024) -> NDArray[Any]:
        """Return a slice with every n-th pixel, ``(C, H, W)``, of the channels that are used.

        Parameters
        ----------
        index
            Number or position of the slice.
        largest
            Desired size of the longer side, 1 or more; the result has fewer than twice as many
            rows and columns.

        Raises
        ------
        IndexError
            If there is no such slice.
        ValueError
            If `largest` is below 1.
        """
        if largest < 1:
            raise ValueError(f"largest is {largest}; a picture has at least 1 row and column.")
        slices, position = self._slices, self._position(index)
        step = max(max(slices.height, slices.width) // largest, 1)
        band = max(2**24 // (slices.width * step), 1) * step
        starts = range(0, slices.height, band)
        spans = [(first, min(first + band, slices.height)) for first in starts]
        bands = [slices.read(position, rows)[:, ::step, ::step] for rows in spans]
        return np.concatenate(bands, axis=1)

    def _position(self, index: int | Index) -> Index:
        if not isinstance(index, tuple):
            if not -len(self) <= index < len(self):
                raise IndexError(f"There is no slice {index}; there are {len(self)}.")
            return self.indices[index % len(self)]
        if index not in self.indices:
            raise IndexError(f"There is no slice {index} among the {len(self)}.")
        return index

    def _compute(self, position: Index) -> dict[str, StageMap]:
        single = replace(self._slices, scope=replace(self._slices.scope, index=position))
        job = stage_maps_job(
            single,
            self._checkpoint,
            self._keys,
            self._settings,
            self._stop,
            temperature=self._temperature,
            colors=self._colors,
        )
        slice_maps: SliceMaps | None = None
        for event in job:
            if not isinstance(event, (Progress, Notice)):
                slice_maps = event
            else:
                self._report(event)
        if slice_maps is None:
            raise InterruptedError(f"Stopped before slice {position} was complete.")
        self._colors = slice_maps.colors
        return {str(stage_map.key): stage_map for stage_map in slice_maps.maps}

    def _report(self, event: Progress | Notice) -> None:
        """Pass an event on; the notice about the range of an image comes once for all slices."""
        if isinstance(event, RangeNotice):
            if self._warned:
                return
            self._warned = True
            warn_if_out_of_range(event)
        if self._on_event is not None:
            self._on_event(event)


def stage_maps(
    image: Any,
    checkpoint: Checkpoint,
    maps: Iterable[str | MapKey] | str = "all",
    axes: str | None = None,
    device: str = "auto",
    *,
    channels: Sequence[int | None] | int | None = None,
    scope: Scope | None = None,
    settings: InferenceSettings | None = None,
    temperature: float = 1.0,
    stop: threading.Event | None = None,
    on_event: OnEvent | None = None,
    **options: Any,
) -> StageMaps:
    """Return maps of the inside of a network, for an image of any size, rank and type.

    Maps are computed when a slice is accessed: ``stage_maps(image, checkpoint)[0]["gate:2"]``.

    Parameters
    ----------
    image
        Image as for `segment`.
    checkpoint
        Checkpoint whose maps are computed.
    maps
        Short names: kinds (``"gate"``), kinds of a stage (``"gate:2"``), of a class
        (``"probability:4:1"``) or a channel (``"decoder:1:17"``); ``"all"`` stands for every kind
        except ``"flip_disagreement"``. See `MapKey` for their meaning.
    axes, device, channels, scope
        As for `segment`.
    settings
        Settings of the inference, of which device, tile, overlap and precision are used. Tiles
        begin at multiples of 32 pixels of the network's input; maps are blended where tiles
        overlap.
    temperature
        Divisor of the logits for entropy, disagreement and flip_disagreement.
    stop
        Ends the computation after the current tile when it is set from another thread.
    on_event
        Called with every `Progress` and `Notice`.
    **options
        Single fields of `InferenceSettings`, such as ``tile=1024``.

    Returns
    -------
    StageMaps
        A sequence of slices; every slice is a dictionary of `StageMap` by short name.

    Raises
    ------
    AxesError
        If axes or channels are ambiguous or do not fit.
    TypeError
        If the pixels are not real numbers, the checkpoint is not a `Checkpoint` (but a path), or an
        option is unknown.
    ValueError
        If the image is empty, there is no such map, stage, class or channel, an option is out of
        bounds, or the maps of one slice are larger than this computer's memory.
    """
    check_checkpoint(checkpoint)
    settings = merge_settings(settings, options, device)
    keys = parse_map_keys(maps, checkpoint.config)
    temperature = as_temperature(temperature)
    slices = slices_for(image, checkpoint, axes, channels, scope)
    check_maps(slices, checkpoint, keys)
    stop = stop or threading.Event()
    return StageMaps(slices, checkpoint, keys, settings, temperature, stop, on_event)
