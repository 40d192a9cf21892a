"""Floor 4: looks through the slices of an image for places that are worth painting."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_emcad.imaging.paint import UNPAINTED
from napari_emcad.inference.events import Notice, Progress
from napari_emcad.inference.maps import MapKey
from napari_emcad.inspection import inspect_job
from napari_emcad.painting import painted_part
from napari_emcad.suggestion import Doubted, Squares, Suggestion, in_order, spread

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator

    from numpy.typing import NDArray

    from napari_emcad.imaging.slices import Index, Slices
    from napari_emcad.inference.events import InferenceSettings
    from napari_emcad.inference.inside import Inside
    from napari_emcad.inference.pieces import Preparation
    from napari_emcad.io.checkpoint import Checkpoint
    from napari_emcad.painting import Painted

MOST_SLICES = 32
"""Slices of a stack that are looked at; of more, so many evenly spaced ones."""

MOST_PLACES = 12
"""Places that are found in a stack; in a single slice fewer, see `suggestions`."""

_DOUBT = MapKey("entropy")


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
    painted: Painted | None = None
    classes: int = 1


@dataclass(frozen=True, slots=True)
class Places:
    """What was found.

    Attributes
    ----------
    found
        Slice by slice, see `in_order`.
    looked_at, wanted, slices
        Slices that were looked at, were to be looked at, and that there are.
    """

    found: tuple[Suggestion, ...]
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
) -> Generator[Progress | Notice, None, Places]:
    """Look at slice after slice and rank the places of all of them together.

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
    from napari_emcad.inference.pieces import Preparation  # torch; a panel makes values only

    network, ready = of.checkpoint.network(), Preparation(of.slices, of.checkpoint.preprocessing)
    indices, squares = of.slices.indices, Squares()
    chosen = spread(len(indices), most_slices)
    looked_at = 0
    for n in chosen:
        if len(chosen) > 1:
            yield Progress(looked_at, len(chosen))
        scope = replace(of.slices.scope, index=indices[n])
        job = inspect_job(
            replace(of.slices, scope=scope),
            of.checkpoint,
            (_DOUBT,),
            of.settings,
            stop,
            temperature=of.temperature,
            network=network,
        )
        seen: Inside | None = None
        for event in job:
            if not isinstance(event, (Progress, Notice)):
                seen = event
            elif isinstance(event, Notice) or len(chosen) == 1:
                yield event
        if seen is None:
            break
        squares.add(_doubted(of, ready, indices[n], seen))
        looked_at += 1
    places = squares.best(MOST_PLACES) if len(chosen) > 1 else squares.best()
    return Places(tuple(in_order(places)), looked_at, len(chosen), len(indices))


def _doubted(of: Search, ready: Preparation, index: Index, seen: Inside) -> Doubted:
    target: NDArray[np.int16] = np.full(of.shape, UNPAINTED, np.int16)
    if of.painted is not None:
        target = painted_part(of.painted, index, (0, of.shape[0]), (0, of.shape[1]), of.classes)
    values = seen.maps[0].values
    doubt = values.T if of.slices.transposed else values
    looks = ready.planes(index, (0, of.slices.height), (0, of.slices.width))
    return Doubted(index, doubt, target, looks)
