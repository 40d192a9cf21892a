"""What a network does inside, slice by slice when asked for."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from napari_emcad.inference.events import Notice, Progress, Summary
from napari_emcad.inference.stage_maps.keys import (
    MapKey,
    StageMap,
    count_channels,
    parse_map_keys,
)
from napari_emcad.inference.uncertainty import as_temperature
from napari_emcad.model.config import STAGES, STRIDES
from napari_emcad.pipelines.segment import (
    check_checkpoint,
    check_fits_memory,
    merge_settings,
    slices_for,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_emcad.imaging.slices import Index, Scope, Slices
    from napari_emcad.inference.events import InferenceSettings
    from napari_emcad.inference.stage_maps.extract import SliceMaps
    from napari_emcad.inference.stage_maps.pca import PcaColors
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.model.network import PvtEmcad

    OnEvent = Callable[[Progress | Notice], object]


class StageMaps:
    """The maps of an image's slices; each is computed when it is asked for.

    Made by `stage_maps`. ``inspection[0]`` is the first slice, ``inspection[t, z]`` one by its
    position along the stacked axes; iterating goes through all of them. The last slice is kept,
    and the colors of features are those that the first one asked for was given.
    """

    def __init__(
        self,
        slices: Slices,
        checkpoint: Checkpoint,
        wanted: tuple[MapKey, ...],
        settings: InferenceSettings,
        temperature: float,
        stop: threading.Event,
        on_event: OnEvent | None,
    ) -> None:
        self._slices = slices
        self._checkpoint = checkpoint
        self._wanted = wanted
        self._settings = settings
        self._temperature = temperature
        self._stop = stop
        self._on_event = on_event
        self._network: PvtEmcad | None = None
        self._colors: Mapping[MapKey, PcaColors] = {}
        self._last: tuple[Index, dict[str, StageMap]] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Short names of the maps."""
        return tuple(map(str, self._wanted))

    @property
    def indices(self) -> Sequence[Index]:
        """Position of each slice along the stacked axes; one empty position for a flat image."""
        return cast("Sequence[Index]", self._slices.indices)

    @property
    def stacked_axes(self) -> str:
        """A letter for each number of such a position."""
        return "".join(each for each in self._slices.spatial_axes if each not in "YX")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a slice in pixels, as far as it is looked at."""
        return self._slices.height, self._slices.width

    @property
    def rows_first(self) -> bool:
        """Whether rows come before columns in the image's order, which is that of the maps."""
        return not self._slices.transposed

    @property
    def checkpoint(self) -> Checkpoint:
        """What is looked into."""
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
            If it was stopped before the slice was complete.
        MemoryError
            If memory is short even for the smallest tile.
        NotFinite
            If the network answers NaN or infinity.
        """
        position = self._position(index)
        if self._last is None or self._last[0] != position:
            self._last = None
            self._last = position, self._looked(position)
        return dict(self._last[1])

    def picture(self, index: int | Index, largest: int = 1024) -> NDArray[Any]:
        """Return a slice to look at, ``(C, H, W)``: every n-th pixel of the channels that count.

        Parameters
        ----------
        index
            As for the maps.
        largest
            Rows or columns, so many at most (or twice as many, less one); 1 or more.

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

    def _looked(self, position: Index) -> dict[str, StageMap]:
        from napari_emcad.inference.segment import describe_memory_errors  # torch

        if self._network is None:
            with describe_memory_errors():
                self._network = self._checkpoint.network()
        one = replace(self._slices, scope=replace(self._slices.scope, index=position))
        job = stage_maps_job(
            one,
            self._checkpoint,
            self._wanted,
            self._settings,
            self._stop,
            temperature=self._temperature,
            colors=self._colors,
            network=self._network,
        )
        found: SliceMaps | None = None
        for event in job:
            if not isinstance(event, (Progress, Notice)):
                found = event
            elif self._on_event is not None:
                self._on_event(event)
        if found is None:
            raise InterruptedError(f"Stopped before slice {position} was complete.")
        self._colors = found.colors
        return {str(each.key): each for each in found.maps}


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
    """See what a network does inside, on an image of any size, rank and type.

    Nothing is computed before a slice is asked for: ``inspect(image, checkpoint)[0]["gate:2"]``.

    Parameters
    ----------
    image
        As for `segment`.
    checkpoint
        What to look into.
    maps
        Short names: kinds (``"gate"``), kinds of a stage (``"gate:2"``), of a class
        (``"probability:4:1"``) or a channel (``"decoder:1:17"``); ``"all"`` is every kind but
        ``"flip_disagreement"``. See `MapKey` for what they show.
    axes, device, channels, scope
        As for `segment`.
    settings
        Device, tile, overlap and precision count. Tiles begin on multiples of 32 of the network's
        pixels, and maps are blended where they overlap.
    temperature
        What logits are divided by for entropy, disagreement and flip_disagreement.
    stop
        Set it from another thread to end after the current tile.
    on_event
        Called with each `Progress` and `Notice` as it comes.
    **options
        Single fields of `InferenceSettings`, such as ``tile=1024``.

    Returns
    -------
    Inspection
        Its slices are dictionaries of `StageMap` by short name.

    Raises
    ------
    AxesError
        If axes or channels are ambiguous or do not fit.
    TypeError
        If the pixels are not real numbers, the checkpoint is none (a path for instance), or an
        option is unknown.
    ValueError
        If the image is empty, there is no such map, stage, class or channel, an option is out of
        bounds, or the maps of one slice are larger than this computer's memory.
    """
    check_checkpoint(checkpoint)
    settings = merge_settings(settings, options, device)
    wanted = parse_map_keys(maps, checkpoint.config)
    temperature = as_temperature(temperature)
    slices = slices_for(image, checkpoint, axes, channels, scope)
    check_maps(slices, checkpoint, wanted)
    given = (temperature, stop or threading.Event(), on_event)
    return StageMaps(slices, checkpoint, wanted, settings, *given)


def check_maps(slices: Slices, checkpoint: Checkpoint, wanted: Iterable[MapKey]) -> None:
    """Refuse maps of one slice that cannot fit into this computer's memory.

    Raises
    ------
    ValueError
        It says how much is needed.
    """
    preprocessing = checkpoint.preprocessing
    height, width = preprocessing.size or (
        preprocessing.zoom * each for each in (slices.height, slices.width)
    )
    results = {str(key): count_channels(key, checkpoint.config) / key.stride**2 for key in wanted}
    classes = checkpoint.config.num_classes
    heads = {f"head {n}": classes / STRIDES[n] ** 2 for n in STAGES}
    views = {"views": 4 * classes / STRIDES[1] ** 2}
    computed = [key for key in wanted if key.spec.heads(key.map_stage, checkpoint.head)]
    compared = [key for key in wanted if key.spec.views > 1]
    held = results | (heads if computed else {}) | (views if compared else {})
    check_fits_memory(round(4 * sum(held.values()) * height * width))


def stage_maps_job(
    slices: Slices,
    checkpoint: Checkpoint,
    wanted: tuple[MapKey, ...],
    settings: InferenceSettings,
    stop: threading.Event,
    *,
    temperature: float = 1.0,
    colors: Mapping[MapKey, PcaColors] | None = None,
    network: PvtEmcad | None = None,
) -> Generator[Progress | Notice | SliceMaps, None, Summary]:
    """Return the job that looks inside; torch is imported when it first runs.

    It yields `Progress` per tile, `SliceMaps` per slice and a `Notice` where something needs to be
    said, and returns a `Summary`. Hand the colors of an `SliceMaps` to the next job for the same
    ones, and a network of this checkpoint to spare building it.
    """
    from napari_emcad.inference.segment import describe_memory_errors
    from napari_emcad.inference.stage_maps.extract import extract_stage_maps
    from napari_emcad.inference.stage_maps.request import MapRequest

    request = MapRequest(wanted, checkpoint.head, temperature, colors or {})
    how = checkpoint.preprocessing
    with describe_memory_errors():
        network = checkpoint.network() if network is None else network
        return (yield from extract_stage_maps(network, slices, how, request, settings, stop))
