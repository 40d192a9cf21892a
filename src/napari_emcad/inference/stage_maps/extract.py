"""The job that extracts the maps of every stage, tile by tile, slice by slice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_emcad.imaging.exposure import range_mismatch
from napari_emcad.inference.batch_size import SMALLEST_TILE, out_of_memory_message
from napari_emcad.inference.devices import (
    choose_device,
    device_choices,
    free_memory,
    is_out_of_memory,
)
from napari_emcad.inference.events import (
    InferenceSettings,
    Notice,
    Progress,
    RangeNotice,
    Summary,
)
from napari_emcad.inference.network_pool import NETWORK_POOL
from napari_emcad.inference.patches import Patch, Preprocessor
from napari_emcad.inference.segment import OutOfMemory
from napari_emcad.inference.stage_maps.blended import BlendedMaps
from napari_emcad.inference.stage_maps.canvases import Canvases
from napari_emcad.inference.stage_maps.grid import Grid, make_grid
from napari_emcad.inference.stage_maps.keys import MapKey, StageMap
from napari_emcad.inference.stage_maps.recorder import MapRecorder

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Mapping

    import torch
    from numpy.typing import NDArray

    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.imaging.slices import Index, Slices
    from napari_emcad.inference.stage_maps.pca import PcaColors
    from napari_emcad.inference.stage_maps.recorder import RecordedMaps
    from napari_emcad.inference.stage_maps.request import MapRequest
    from napari_emcad.model.network import PvtEmcad

MAX_BUFFERED = 8
"""Tiles whose features are kept in memory until their colors are fitted. Of a slice with more
tiles, this many are recorded for the fit and computed a second time afterwards."""


@dataclass(frozen=True, slots=True, eq=False)
class SliceMaps:
    """The maps of one slice.

    Attributes
    ----------
    index
        Position along the stacked axes.
    maps
        In the order of the request.
    colors
        PCA colors of features; pass them to the next job for the same colors.
    """

    index: Index
    maps: tuple[StageMap, ...]
    colors: Mapping[MapKey, PcaColors]


def extract_stage_maps(
    network: PvtEmcad,
    slices: Slices,
    preprocessing: Preprocessing,
    request: MapRequest,
    settings: InferenceSettings,
    stop: threading.Event,
) -> Generator[Progress | Notice | SliceMaps, None, Summary]:
    """Extract maps slice by slice, yielding `SliceMaps` per slice and progress per tile.

    One pass of the network serves all maps. Tiles are blended at the resolution of the maps;
    sums, probabilities and uncertainty are computed from the blended logits. When memory runs out
    the tile is halved and the slice is done again; a `Notice` says so.

    Parameters
    ----------
    network
        In eval mode; it is moved to the device, and back when the job ends.
    slices
        The image.
    preprocessing
        Conversion of pixels to network inputs.
    request
        The requested maps, head and temperature.
    settings
        Device, tile, overlap and precision count; tiles are computed one by one.
    stop
        Set it, from any thread, to end the job after the current tile; complete slices stay.

    Raises
    ------
    ValueError
        If the device cannot be used.
    NotFinite
        If the network's output is NaN or infinite.
    OutOfMemory
        If memory is short even for the smallest tile.
    """
    device = choose_device(settings.device)
    home = next(network.parameters()).device
    try:
        recorder = MapRecorder(network.to(device), request, device, settings.full_precision)
        preprocessor = Preprocessor(slices, preprocessing)
        if slices.fits_in_memory and (mismatch := range_mismatch(slices, preprocessing)):
            yield RangeNotice(mismatch)
        summary = yield from _extract_slices(recorder, preprocessor, settings, stop)
        if mismatch := preprocessor.exposure.message():
            yield RangeNotice(mismatch)
        return summary
    finally:
        network.to(home)
        if device != home:
            free_memory()


def _extract_slices(
    recorder: MapRecorder,
    preprocessor: Preprocessor,
    settings: InferenceSettings,
    stop: threading.Event,
) -> Generator[Progress | Notice | SliceMaps, None, Summary]:
    slices, tile, notices = preprocessor.slices, settings.tile, list[str]()
    total, number, device = len(slices.indices), 0, recorder.device
    title = next(choice.title for choice in device_choices() if choice.name == device.type)
    while number < total:
        grid = make_grid(slices, preprocessor.preprocessing, tile, settings.overlap)
        try:
            recorded = yield from _record_slice(recorder, grid, preprocessor, number, stop)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        else:
            if recorded is None:
                return Summary("stopped", number, total, title, tuple(notices))
            yield _slice_maps(recorder, grid, slices, number, recorded)
            number += 1
            continue
        NETWORK_POOL.clear()
        free_memory()  # outside the handler, whose traceback refers to tensors
        tile = _smaller_tile(tile, grid, preprocessor.preprocessing, device)
        notices.append(f"Memory ran out on {device.type}; went on with tiles of {tile} pixels.")
        yield Notice(notices[-1])
    return Summary("finished", total, total, title, tuple(notices))


def _record_slice(
    recorder: MapRecorder,
    grid: Grid,
    preprocessor: Preprocessor,
    number: int,
    stop: threading.Event,
) -> Generator[Progress, None, RecordedMaps | None]:
    """Return the blended maps of a slice, or None if the job was stopped."""
    total = len(preprocessor.slices.indices) * len(grid)
    before = number * len(grid)
    canvases = Canvases(grid)
    buffered: list[tuple[Patch, RecordedMaps]] = []
    yield Progress(before, total)
    if recorder.uncolored_keys and len(grid) > MAX_BUFFERED:
        chosen = set(np.linspace(0, len(grid) - 1, MAX_BUFFERED).round().astype(int).tolist())
        for tile, patch in enumerate(grid.patches(preprocessor, number)):
            if stop.is_set():
                return None
            if tile in chosen:
                buffered.append((patch, recorder.record(patch, recorder.uncolored_keys)))
        recorder.fit_colors(grid, buffered)
        buffered.clear()
    for done, patch in enumerate(grid.patches(preprocessor, number), before + 1):
        if stop.is_set():
            return None
        buffered.append((patch, recorder.record(patch, recorder.request.recorded_keys)))
        if recorder.uncolored_keys and done == before + len(grid):
            recorder.fit_colors(grid, buffered)
        while buffered and not recorder.uncolored_keys:
            earlier, recorded = buffered.pop(0)
            canvases.add(earlier, recorder.project(recorded))
        yield Progress(done, total)
    return canvases.maps


def _slice_maps(
    recorder: MapRecorder, grid: Grid, slices: Slices, number: int, recorded: RecordedMaps
) -> SliceMaps:
    """Return the requested maps, computed from the blended ones."""
    request, index = recorder.request, slices.indices[number]
    blended = BlendedMaps(
        recorded, recorder.num_classes, request.head, request.temperature, recorder.colors
    )
    maps = tuple(_place(key, blended.compute(key), grid, slices, index) for key in request.keys)
    return SliceMaps(index, maps, dict(recorder.colors))


def _place(
    key: MapKey, values: NDArray[np.float32], grid: Grid, slices: Slices, index: Index
) -> StageMap:
    """Return a map without the padding, and where it lies on the image."""
    diverging = key.spec.is_diverging
    if not key.spec.has_place:
        return StageMap(key, values, None, None, _limits(key, values), diverging)
    height, width = grid.map_shape(key.map_stage)
    values = values[..., :height, :width]
    factor = grid.factor(key.map_stage)
    where = slices.where(index, (0, grid.shape[0]), (0, grid.shape[1]))
    corner = [part.start for part in where if isinstance(part, slice)]
    if slices.transposed:
        values, factor = values.swapaxes(-1, -2), (factor[1], factor[0])
    offset = (corner[0] + (factor[0] - 1) / 2, corner[1] + (factor[1] - 1) / 2)
    limits = _limits(key, values)
    return StageMap(key, np.ascontiguousarray(values), factor, offset, limits, diverging)


def _limits(key: MapKey, values: NDArray[np.float32]) -> tuple[float, float]:
    """Return the values at the ends of the color map."""
    limits = (0.0, 1.0) if key.is_rgb else key.spec.limits
    if isinstance(limits, tuple):
        return limits
    if limits == "symmetric":
        largest = float(np.abs(values).max()) or 1.0
        return -largest, largest
    low, high = float(values.min()), float(values.max())
    return low, high if high > low else low + 1


def _smaller_tile(tile: int, grid: Grid, preprocessing: Preprocessing, device: torch.device) -> int:
    """Return half the tile side.

    Raises
    ------
    OutOfMemory
        If there is no smaller tile.
    """
    half = min(tile, 32 * max(grid.unit_tiling.tile)) // 2
    if preprocessing.size is None and half >= SMALLEST_TILE:
        return half
    raise OutOfMemory(out_of_memory_message(device, tile, preprocessing))
