"""The job that looks inside: maps of every stage, tile by tile, slice by slice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from napari_emcad.imaging.tiles import Blend
from napari_emcad.inference.devices import (
    autocast_type,
    choose_device,
    device_choices,
    free_memory,
    is_out_of_memory,
    none_if_out_of_memory,
)
from napari_emcad.inference.events import InferenceSettings, Notice, Progress, Summary
from napari_emcad.inference.patches import Patch, Preprocessor
from napari_emcad.inference.segment import (
    SMALLEST_TILE,
    OutOfMemory,
    check_finite,
    out_of_memory_message,
)
from napari_emcad.inference.stage_maps.derived import finest, heads_of, of_classes, of_doubt
from napari_emcad.inference.stage_maps.grid import Grid, make_grid
from napari_emcad.inference.stage_maps.keys import (
    OF_CHANNELS,
    OF_CLASSES,
    OF_DOUBT,
    MapKey,
    StageMap,
)
from napari_emcad.inference.stage_maps.pca import PcaColors, fit_pca_colors, sample
from napari_emcad.inference.uncertainty import as_temperature
from napari_emcad.model.config import STRIDES

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.imaging.slices import Index, Slices
    from napari_emcad.model.network import Head, PvtEmcad, StageOutput

    Raw = dict[MapKey, NDArray[np.float32]]
    Palette = Mapping[MapKey, PcaColors]

KEPT = 8
"""Tiles whose features are kept until their colors are known; of more, so many are looked at
first and computed again."""

_FLIPS = ((-1,), (-2,), (-1, -2))
"""Axes of the mirror images that ``flips`` compares."""


@dataclass(frozen=True, slots=True, eq=False)
class SliceMaps:
    """What was seen in one slice.

    Attributes
    ----------
    index
        Position along the stacked axes.
    maps
        In the order in which they were asked for.
    colors
        What made colors of features; hand it to the next job for the same colors.
    """

    index: Index
    maps: tuple[StageMap, ...]
    colors: Palette


@dataclass(frozen=True, slots=True)
class MapRequest:
    """What is to be seen.

    Parameters
    ----------
    wanted
        From `napari_emcad.inference.stage_maps.keys.parse_map_keys`.
    head
        Which map is the prediction, for entropy and flips.
    temperature
        What logits are divided by for maps of doubt, see
        `napari_emcad.inference.uncertainty.fit_temperature`.
    colors
        For features seen before; others get theirs from the first slice.

    Raises
    ------
    ValueError
        If the temperature is not finite and above 0.
    """

    wanted: tuple[MapKey, ...]
    head: Head = "finest"
    temperature: float = 1.0
    colors: Palette = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "temperature", as_temperature(self.temperature))

    @property
    def recorded(self) -> tuple[MapKey, ...]:
        """What has to be taken out of the network for it, each once."""
        logits = [MapKey("logits", n) for key in self.wanted for n in heads_of(key, self.head)]
        as_they_are = [key for key in self.wanted if not heads_of(key, self.head)]
        flips = [key for key in self.wanted if key.kind == "flips"]
        return tuple(dict.fromkeys([*logits, *as_they_are, *flips]))


def extract_stage_maps(
    network: PvtEmcad,
    slices: Slices,
    preprocessing: Preprocessing,
    sight: MapRequest,
    settings: InferenceSettings,
    stop: threading.Event,
) -> Generator[Progress | Notice | SliceMaps, None, Summary]:
    """Look at slice by slice, yielding an `SliceMaps` for each and progress after each tile.

    One pass of the network serves all maps. Tiles are blended at the resolution of each map;
    sums, probabilities and doubt are made of the blended logits. When memory runs out the tile is
    halved and the slice is done again; a `Notice` says so.

    Parameters
    ----------
    network
        In eval mode; it is moved to the device, and back when the job ends.
    slices
        What to look at.
    preprocessing
        What happens to pixels first.
    sight
        What is to be seen.
    settings
        Device, tile, overlap and precision count; tiles go one by one.
    stop
        Set it, from any thread, to end the job after the current tile; complete slices stay.

    Raises
    ------
    ValueError
        If the device cannot be used.
    NotFinite
        If the network answers NaN or infinity.
    OutOfMemory
        If memory is short even for the smallest tile.
    """
    device = choose_device(settings.device)
    home = next(network.parameters()).device
    try:
        looker = _Looker(network.to(device), sight, device, settings.full_precision)
        preprocessor = Preprocessor(slices, preprocessing)
        return (yield from _every_slice(looker, preprocessor, settings, stop))
    finally:
        network.to(home)
        if device != home:
            free_memory()


def _every_slice(
    looker: _Looker, preprocessor: Preprocessor, settings: InferenceSettings, stop: threading.Event
) -> Generator[Progress | Notice | SliceMaps, None, Summary]:
    slices, tile, notices = preprocessor.slices, settings.tile, list[str]()
    total, number = len(slices.indices), 0
    title = next(each.title for each in device_choices() if each.name == looker.device.type)
    while number < total:
        grid = make_grid(slices, preprocessor.preprocessing, tile, settings.overlap)
        try:
            raw = yield from _slice(looker, grid, preprocessor, number, stop)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raw = None
        else:
            if raw is None:
                return Summary("stopped", number, total, title, tuple(notices))
        if raw is None:
            free_memory()
            tile = _smaller(tile, grid, preprocessor.preprocessing, looker.device)
            device = looker.device.type
            notices.append(f"Memory ran out on {device}; went on with tiles of {tile} pixels.")
            yield Notice(notices[-1])
            continue
        yield _inside(looker, grid, slices, number, raw)
        number += 1
    return Summary("finished", total, total, title, tuple(notices))


def _slice(
    looker: _Looker, grid: Grid, preprocessor: Preprocessor, number: int, stop: threading.Event
) -> Generator[Progress, None, Raw | None]:
    """Return the blended maps of a slice, or None if it was stopped."""
    total = len(preprocessor.slices.indices) * len(grid)
    begun = number * len(grid)
    canvases = _Canvases(grid)
    waiting: list[tuple[Patch, Raw]] = []
    yield Progress(begun, total)
    if looker.uncolored and len(grid) > KEPT:
        chosen = set(np.linspace(0, len(grid) - 1, KEPT).round().astype(int).tolist())
        patches = (p for n, p in enumerate(grid.patches(preprocessor, number)) if n in chosen)
        for patch in patches:
            if stop.is_set():
                return None
            waiting.append((patch, looker.look(patch, looker.uncolored)))
        looker.choose_colors(grid, waiting)
        waiting.clear()
    for done, patch in enumerate(grid.patches(preprocessor, number), begun + 1):
        if stop.is_set():
            return None
        waiting.append((patch, looker.look(patch, looker.sight.recorded)))
        if looker.uncolored and done == begun + len(grid):
            looker.choose_colors(grid, waiting)
        while waiting and not looker.uncolored:
            earlier, raw = waiting.pop(0)
            canvases.add(earlier, looker.project(raw))
        yield Progress(done, total)
    return canvases.maps


class _Looker:
    """A network on its device, and what is taken out of it."""

    def __init__(
        self, network: PvtEmcad, sight: MapRequest, device: torch.device, full_precision: bool
    ) -> None:
        self.sight = sight
        self.device = device
        self.colors = dict(sight.colors)
        self.num_classes = network.config.num_classes
        self._network = network
        self._half = None if full_precision else autocast_type(device)

    @property
    def uncolored(self) -> tuple[MapKey, ...]:
        """Features whose colors are not known yet."""
        return tuple(k for k in self.sight.wanted if k.is_rgb and k not in self.colors)

    def look(self, patch: Patch, keys: Sequence[MapKey]) -> Raw:
        """Return ``(C, h, w)`` maps of a tile; features that get colors have all channels.

        Raises
        ------
        OutOfMemory
            Its traceback holds no tensor.
        NotFinite
            If a head answers NaN or infinity.
        """
        raw = none_if_out_of_memory(self._look, patch, keys)
        if raw is None:
            raise OutOfMemory
        return raw

    def _look(self, patch: Patch, keys: Sequence[MapKey]) -> Raw:
        half = self._half
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, half, enabled=half is not None),
        ):
            x = torch.from_numpy(patch.pixels)[None].to(self.device)
            stages = self._network.forward_intermediates(x)
            answers = (each.logits.isfinite().all() for each in stages.values())
            check_finite(all(map(bool, answers)), half)
            seen = {key: self._seen(key, x, stages) for key in keys}
            return {key: each.float().cpu().numpy() for key, each in seen.items()}

    def _seen(self, key: MapKey, x: Tensor, stages: Mapping[int, StageOutput]) -> Tensor:
        if key.kind == "flips" or key.stage is None:
            return torch.cat([self._mirrored(x, axes) for axes in _FLIPS])
        stage = stages[key.stage]
        if key.kind == "logits":
            return stage.logits[0]
        if key.kind == "gate" and stage.gate is not None:
            return stage.gate[0]
        if key.kind == "channel":
            return stage.channel_attention[0]
        if key.kind == "spatial":
            return stage.spatial_attention[0]
        features = (stage.encoder if key.kind == "encoder" else stage.decoder)[0]
        return features if key.part is None else features[key.part : key.part + 1]

    def _mirrored(self, x: Tensor, axes: tuple[int, ...]) -> Tensor:
        """Return the logits of the prediction on a mirrored tile, mirrored back, ``(K, h, w)``."""
        logits = self._network(x.flip(axes))
        total, size = logits[-1], logits[-1].shape[-2:]
        for each in logits[:-1] if self.sight.head == "sum" else ():
            total = total + F.interpolate(each, size, mode="bilinear", align_corners=False)
        turned: Tensor = total.flip(axes)[0]
        return turned

    def choose_colors(self, grid: Grid, seen: Iterable[tuple[Patch, Raw]]) -> None:
        """Fit the colors that are not known yet to the features of these tiles."""
        listed = list(seen)
        for key in self.uncolored:
            parts = [_unpadded(grid, key, patch, raw[key]) for patch, raw in listed]
            self.colors[key] = fit_pca_colors(np.concatenate([sample(p) for p in parts]))

    def project(self, raw: Raw) -> Raw:
        """Return the maps with features brought to three channels."""
        return {
            key: self.colors[key].project(each) if key.is_rgb else each for key, each in raw.items()
        }


class _Canvases:
    """The maps of one slice, put together from its tiles."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._blends: dict[MapKey, Blend] = {}
        self._tiles = 0
        self.maps: Raw = {}

    def add(self, patch: Patch, raw: Raw) -> None:
        """Blend the maps of a tile in; the tiles come row by row."""
        self._tiles += 1
        for key, tile in raw.items():
            if key.kind == "channel":
                mean = self.maps.setdefault(key, np.zeros_like(tile))
                mean += (tile - mean) / self._tiles
            else:
                self._blend(key, patch, tile)

    def _blend(self, key: MapKey, patch: Patch, tile: NDArray[np.float32]) -> None:
        stage = finest(key)
        if len(self._grid) == 1:
            self.maps[key] = tile
            return
        if key not in self._blends:
            tiling = self._grid.tiling(stage)
            self._blends[key] = Blend(tiling, len(tile))
            self.maps[key] = np.zeros((len(tile), *tiling.shape), np.float32)
        top, left = patch.top // STRIDES[stage], patch.left // STRIDES[stage]
        mean = self._blends[key].add(top, left, tile)
        height, width = tile.shape[1:]
        self.maps[key][:, top : top + height, left : left + width] = mean


def _unpadded(
    grid: Grid, key: MapKey, patch: Patch, tile: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the part of a tile's map that is not padding alone."""
    stride = STRIDES[finest(key)]
    height, width = grid.map_shape(finest(key))
    return tile[:, : height - patch.top // stride, : width - patch.left // stride]


def _inside(looker: _Looker, grid: Grid, slices: Slices, number: int, raw: Raw) -> SliceMaps:
    """Return what was asked for from the blended maps."""
    index = slices.indices[number]
    maps = tuple(_placed(key, values, grid, slices, index) for key, values in _made(looker, raw))
    return SliceMaps(index, maps, dict(looker.colors))


def _made(looker: _Looker, raw: Raw) -> Iterator[tuple[MapKey, NDArray[np.float32]]]:
    sight, classes = looker.sight, looker.num_classes
    logits = {key.stage: each for key, each in raw.items() if key.kind == "logits"}
    heads = {n: each for n, each in logits.items() if n is not None}
    for key in sight.wanted:
        if key.kind in OF_CLASSES:
            yield key, of_classes(key, heads, classes)
        elif key.kind in OF_DOUBT:
            flipped = raw.get(key) if key.kind == "flips" else None
            yield key, of_doubt(key, heads, flipped, sight.head, sight.temperature)
        elif key.kind == "channel":
            yield key, raw[key].reshape(-1)
        else:
            yield key, looker.colors[key].to_rgb(raw[key]) if key.is_rgb else raw[key][0]


def _placed(
    key: MapKey, values: NDArray[np.float32], grid: Grid, slices: Slices, index: Index
) -> StageMap:
    if key.kind == "channel":
        return StageMap(key, values, None, None, (0.0, 1.0))
    height, width = grid.map_shape(finest(key))
    values = values[..., :height, :width]
    factor = grid.factor(finest(key))
    where = slices.where(index, (0, grid.shape[0]), (0, grid.shape[1]))
    corner = [each.start for each in where if isinstance(each, slice)]
    if slices.transposed:
        values, factor = values.swapaxes(-1, -2), (factor[1], factor[0])
    offset = (corner[0] + (factor[0] - 1) / 2, corner[1] + (factor[1] - 1) / 2)
    limits, diverging = _limits(key, values)
    return StageMap(key, np.ascontiguousarray(values), factor, offset, limits, diverging)


def _limits(key: MapKey, values: NDArray[np.float32]) -> tuple[tuple[float, float], bool]:
    """Return what a color map goes from and to, and whether 0 is its middle."""
    if key.kind == "adds":
        return (-1.0, 1.0), True
    if key.kind in ("logits", "sum"):
        most = float(np.abs(values).max()) or 1.0
        return (-most, most), True
    if key.kind in OF_CHANNELS and not key.is_rgb:
        low, high = float(values.min()), float(values.max())
        return (low, high if high > low else low + 1), False
    return (0.0, 1.0), False


def _smaller(tile: int, grid: Grid, preprocessing: Preprocessing, device: torch.device) -> int:
    """Return half the tile, or say that memory is short."""
    half = min(tile, 32 * max(grid.cut.tile)) // 2
    if preprocessing.size is None and half >= SMALLEST_TILE:
        return half
    raise OutOfMemory(out_of_memory_message(device, tile, preprocessing))
