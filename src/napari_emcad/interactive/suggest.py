"""Search the slices of an image for regions where new strokes would help most."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.inference.events import InferenceSettings, Notice, Progress
from napari_emcad.inference.jobs import relay_job
from napari_emcad.inference.stage_maps.keys import MapKey
from napari_emcad.interactive.annotated_patches import AnnotatedImage, read_window
from napari_emcad.interactive.region_features import UncertainSlice
from napari_emcad.interactive.suggest_ranking import (
    RegionRanking,
    SuggestedRegion,
    evenly_spaced,
    grouped_by_slice,
)
from napari_emcad.pipelines.stage_maps_job import stage_maps_job

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Iterator, Mapping

    from numpy.typing import NDArray

    from napari_emcad.imaging.slices import Index, Slices
    from napari_emcad.inference.patches import Preprocessor
    from napari_emcad.inference.stage_maps.extract import SliceMaps
    from napari_emcad.inference.stage_maps.pca import PcaColors
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint

MOST_SLICES = 32
"""Largest number of slices of a stack that are searched; of more, evenly spaced ones."""

MOST_REGIONS = 12
"""Largest number of regions suggested in a stack; for one slice see `suggest_regions`."""

_MAPS = (MapKey("entropy"), MapKey("encoder", 1))
"""Uncertainty, and the features by which regions are compared: reduced to three colors, which
bounds the memory they need."""


@dataclass(frozen=True, slots=True)
class SuggestSearch:
    """What is searched for suggested regions.

    Attributes
    ----------
    slices
        One slice or all slices of a stack, at full height and width.
    shape
        Height and width of the finest resolution; regions are given in its pixels.
    checkpoint, settings, temperature
        Network whose uncertainty counts, how it is run, and its temperature.
    annotated
        Annotation of the image; None if there is none.
    classes
        Number of classes without the background.
    largest_side
        Largest side of the grid, in points, on which regions of a slice are ranked.
    band
        Number of grid rows that are read at once of a slice that does not fit into memory.
    """

    slices: Slices
    shape: tuple[int, int]
    checkpoint: Checkpoint
    settings: InferenceSettings
    temperature: float = 1.0
    annotated: AnnotatedImage | None = None
    classes: int = 1
    largest_side: int = 4096
    band: int = 1024

    @property
    def step(self) -> int:
        """Distance in pixels between grid points on which regions are ranked."""
        return -(-max(self.slices.height, self.slices.width) // self.largest_side)


@dataclass(frozen=True, slots=True)
class SuggestedRegions:
    """Result of a search.

    Attributes
    ----------
    regions
        Suggested regions, slice by slice; see `grouped_by_slice`.
    searched, requested, total
        Number of slices that were searched, that were to be searched, and that there are.
    """

    regions: tuple[SuggestedRegion, ...]
    searched: int
    requested: int
    total: int

    @property
    def stopped(self) -> bool:
        """Whether the search was stopped early."""
        return self.searched < self.requested

    def __str__(self) -> str:
        """Return a message for the user; "" if there is nothing to add to the regions."""
        parts = []
        if self.stopped:
            after = f" after {self.searched} of {self.requested} slices"
            parts.append(f"Stopped{after if self.requested > 1 else ''}.")
        elif self.requested < self.total:
            parts.append(f"Searched {self.requested} of {self.total:,} slices, evenly spaced.")
        if not self.regions and self.searched:
            parts.append("No uncertain region was found.")
        return " ".join(parts)


def suggest_job(
    search: SuggestSearch, stop: threading.Event, most_slices: int = MOST_SLICES
) -> Generator[Progress | Notice, None, SuggestedRegions]:
    """Search slice after slice and rank the regions of all slices together.

    Regions are squares of `REGION_SIZE` pixels of the searched resolution, larger ones in slices of
    more than 4096 pixels along a side. Only the ranking is kept of a slice, so memory does not grow
    with the stack. torch is imported when the job first runs.

    Parameters
    ----------
    search
        What is searched.
    stop
        Ends the search after the current tile; complete slices count.
    most_slices
        Largest number of slices to search.

    Raises
    ------
    LabelValueError
        If an annotated value stands for no class.
    ValueError
        If the device cannot be used.
    """
    # Imported here because it loads torch, which the window does only in a thread.
    from napari_emcad.inference.patches import Preprocessor

    preprocessor = Preprocessor(search.slices, search.checkpoint.preprocessing)
    indices, ranking = search.slices.indices, RegionRanking()
    colors: Mapping[MapKey, PcaColors] = {}
    chosen = evenly_spaced(len(indices), most_slices)
    single = len(chosen) == 1
    searched = 0
    for n in chosen:
        if not single:
            yield Progress(searched, len(chosen))
        maps = yield from _slice_maps(search, indices[n], colors, stop, single)
        if maps is None:
            break
        colors = maps.colors
        ranking.add(_uncertain_slice(search, preprocessor, indices[n], maps))
        searched += 1
    best = ranking.best() if single else ranking.best(MOST_REGIONS)
    regions = tuple(_at_finest_resolution(search, region) for region in grouped_by_slice(best))
    return SuggestedRegions(regions, searched, len(chosen), len(indices))


def _slice_maps(
    search: SuggestSearch,
    index: Index,
    colors: Mapping[MapKey, PcaColors],
    stop: threading.Event,
    report_tiles: bool,
) -> Generator[Progress | Notice, None, SliceMaps | None]:
    """Return the maps of a slice, None if the search was stopped."""
    job = stage_maps_job(
        replace(search.slices, scope=replace(search.slices.scope, index=index)),
        search.checkpoint,
        _MAPS,
        search.settings,
        stop,
        temperature=search.temperature,
        colors=colors,
    )
    maps: list[SliceMaps] = []

    def messages(event: Progress | Notice | SliceMaps) -> Iterator[Progress | Notice]:
        if not isinstance(event, (Progress, Notice)):
            maps.append(event)
        elif report_tiles or isinstance(event, Notice):
            yield event

    yield from relay_job(job, messages)
    return maps[-1] if maps else None


def _uncertain_slice(
    search: SuggestSearch, preprocessor: Preprocessor, index: Index, maps: SliceMaps
) -> UncertainSlice:
    """Return uncertainty, target and features of a slice on the grid of the ranking."""
    step, slices = search.step, search.slices
    values = [stage_map.values for stage_map in maps.maps]
    uncertainty, features = (v.swapaxes(-1, -2) if slices.transposed else v for v in values)
    band = slices.height if slices.fits_in_memory else search.band * step
    bands = [
        preprocessor.planes(index, (top, min(top + band, slices.height)), (0, slices.width))
        for top in range(0, slices.height, band)
    ]
    planes = np.concatenate([rows[:, ::step, ::step] for rows in bands], axis=1)
    target = _target_on_grid(search, index, planes.shape[1:])
    return UncertainSlice(index, uncertainty, target, (*planes, *features))


def _target_on_grid(
    search: SuggestSearch, index: Index, shape: tuple[int, ...]
) -> NDArray[np.int16]:
    """Return the target of a slice of the finest resolution on a coarser grid.

    A grid point has the class of the last annotated pixel that falls on it, so no stroke is lost.
    """
    target: NDArray[np.int16] = np.full(shape, UNLABELED, np.int16)
    if search.annotated is not None:
        height, width = search.shape
        fine = read_window(search.annotated, index, (0, height), (0, width), search.classes)
        rows, columns = np.nonzero(fine != UNLABELED)
        target[rows * shape[0] // height, columns * shape[1] // width] = fine[rows, columns]
    return target


def _at_finest_resolution(search: SuggestSearch, region: SuggestedRegion) -> SuggestedRegion:
    """Return a region in pixels of the finest resolution."""
    step = search.step
    rows, columns = (
        (start * step * fine // coarse, min(-(-end * step * fine // coarse), fine))
        for (start, end), coarse, fine in (
            (region.rows, search.slices.height, search.shape[0]),
            (region.columns, search.slices.width, search.shape[1]),
        )
    )
    return replace(region, rows=rows, columns=columns)
