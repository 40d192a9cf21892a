"""Looks through the slices of an image for places that are worth painting."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.inference.events import Notice, Progress
from napari_emcad.inference.stage_maps.keys import MapKey
from napari_emcad.interactive.annotated_patches import painted_part
from napari_emcad.interactive.suggest_ranking import (
    Squares,
    SuggestedRegion,
    UncertainSlice,
    in_order,
    spread,
)
from napari_emcad.pipelines.stage_maps import stage_maps_job

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Mapping

    from numpy.typing import NDArray

    from napari_emcad.imaging.slices import Index, Slices
    from napari_emcad.inference.events import InferenceSettings
    from napari_emcad.inference.patches import Preprocessor
    from napari_emcad.inference.stage_maps.extract import SliceMaps
    from napari_emcad.inference.stage_maps.pca import PcaColors
    from napari_emcad.interactive.annotated_patches import AnnotatedImage
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.model.network import PvtEmcad

MOST_SLICES = 32
"""Slices of a stack that are looked at; of more, so many evenly spaced ones."""

MOST_PLACES = 12
"""Places that are found in a stack; in a single slice fewer, see `suggest_regions`."""

_LARGEST = 4096
"""Pixels along a side, so many at most, in which the places of a slice are ranked."""

_BAND = 1024
"""Rows, in which places are ranked, that are read at once of what does not fit into memory."""

_SEEN = (MapKey("entropy"), MapKey("encoder", 1))
"""Doubt, and what places are told apart by beside their pixels: as colors, to bound memory."""


@dataclass(frozen=True, slots=True)
class Search:
    """Where places are looked for, and with what.

    Attributes
    ----------
    slices
        One slice or all of a stack, of their whole height and width.
    shape
        Height and width of the finest resolution, in whose pixels places are told.
    checkpoint, settings, temperature
        Whose doubt, how it is computed.
    painted
        What is painted on the image; None for nothing.
    classes
        How many it has, without the background.
    """

    slices: Slices
    shape: tuple[int, int]
    checkpoint: Checkpoint
    settings: InferenceSettings
    temperature: float = 1.0
    painted: AnnotatedImage | None = None
    classes: int = 1


@dataclass(frozen=True, slots=True)
class SuggestedRegions:
    """What was found.

    Attributes
    ----------
    found
        Slice by slice, see `in_order`.
    looked_at, wanted, slices
        Slices that were looked at, were to be looked at, and that there are.
    """

    found: tuple[SuggestedRegion, ...]
    looked_at: int
    wanted: int
    slices: int

    @property
    def stopped(self) -> bool:
        """Whether the search ended before its end."""
        return self.looked_at < self.wanted

    def __str__(self) -> str:
        """Return what should be said of it; "" if nothing."""
        said = []
        if self.stopped:
            after = f" after {self.looked_at} of {self.wanted} slices" * (self.wanted > 1)
            said.append(f"Stopped{after}.")
        elif self.wanted < self.slices:
            said.append(
                f"Looked at {self.wanted} of {self.slices:,} slices, evenly spaced over the stack."
            )
        if not self.found and self.looked_at:
            said.append("Nothing there is doubtful." if said else "Nothing here is doubtful.")
        return " ".join(said)


def search(
    of: Search, stop: threading.Event, most_slices: int = MOST_SLICES
) -> Generator[Progress | Notice, None, SuggestedRegions]:
    """Look at slice after slice and rank the places of all of them together.

    Places are squares of `PATCH` pixels of the resolution that is looked at, larger ones where a
    slice has more than 4096 pixels along a side.

    Torch is imported when it first runs. Of each slice only its squares are kept.

    Parameters
    ----------
    of
        Where.
    stop
        Ends after the current tile; places of the slices before it count.
    most_slices
        Slices that are looked at.

    Raises
    ------
    PaintError
        If a painted number stands for no class.
    ValueError
        If the device cannot be used.
    """
    from napari_emcad.inference.patches import Preprocessor  # torch; a panel makes values only

    network, ready = of.checkpoint.network(), Preprocessor(of.slices, of.checkpoint.preprocessing)
    indices, squares = of.slices.indices, Squares()
    colors: Mapping[MapKey, PcaColors] = {}
    chosen = spread(len(indices), most_slices)
    looked_at = 0
    for n in chosen:
        if len(chosen) > 1:
            yield Progress(looked_at, len(chosen))
        seen = yield from _look(of, indices[n], network, colors, stop, len(chosen) == 1)
        if seen is None:
            break
        colors = seen.colors
        squares.add(_doubted(of, ready, indices[n], seen))
        looked_at += 1
    places = squares.best(MOST_PLACES) if len(chosen) > 1 else squares.best()
    found = tuple(_finest(of, each) for each in in_order(places))
    return SuggestedRegions(found, looked_at, len(chosen), len(indices))


def _look(
    of: Search,
    index: Index,
    network: PvtEmcad,
    colors: Mapping[MapKey, PcaColors],
    stop: threading.Event,
    alone: bool,
) -> Generator[Progress | Notice, None, SliceMaps | None]:
    """Return what the network sees in a slice, None if stopped; of one alone, tell each tile."""
    job = stage_maps_job(
        replace(of.slices, scope=replace(of.slices.scope, index=index)),
        of.checkpoint,
        _SEEN,
        of.settings,
        stop,
        temperature=of.temperature,
        colors=colors,
        network=network,
    )
    seen: SliceMaps | None = None
    for event in job:
        if not isinstance(event, (Progress, Notice)):
            seen = event
        elif alone or isinstance(event, Notice):
            yield event
    return seen


def _doubted(of: Search, ready: Preprocessor, index: Index, seen: SliceMaps) -> UncertainSlice:
    """Return a slice as its places are ranked: in pixels that are looked at, or every n-th."""
    step, slices = _step(of), of.slices
    across = [each.values for each in seen.maps]
    doubt, features = (each.swapaxes(-1, -2) if slices.transposed else each for each in across)
    band = slices.height if slices.fits_in_memory else _BAND * step
    bands = [
        ready.planes(index, (top, min(top + band, slices.height)), (0, slices.width))
        for top in range(0, slices.height, band)
    ]
    planes = np.concatenate([each[:, ::step, ::step] for each in bands], axis=1)
    return UncertainSlice(index, doubt, _paint(of, index, planes.shape[1:]), (*planes, *features))


def _step(of: Search) -> int:
    """Return that every n-th pixel of a large slice is enough to rank its places."""
    return -(-max(of.slices.height, of.slices.width) // _LARGEST)


def _paint(of: Search, index: Index, shape: tuple[int, ...]) -> NDArray[np.int16]:
    """Return what is painted on a slice of the finest resolution, brought to another shape."""
    target: NDArray[np.int16] = np.full(shape, UNLABELED, np.int16)
    if of.painted is not None:
        height, width = of.shape
        fine = painted_part(of.painted, index, (0, height), (0, width), of.classes)
        rows, columns = np.nonzero(fine != UNLABELED)
        target[rows * shape[0] // height, columns * shape[1] // width] = fine[rows, columns]
    return target


def _finest(of: Search, place: SuggestedRegion) -> SuggestedRegion:
    """Return a place in pixels of the finest resolution."""
    step = _step(of)
    rows, columns = (
        (span[0] * step * fine // coarse, min(-(-span[1] * step * fine // coarse), fine))
        for span, coarse, fine in (
            (place.rows, of.slices.height, of.shape[0]),
            (place.columns, of.slices.width, of.shape[1]),
        )
    )
    return replace(place, rows=rows, columns=columns)
