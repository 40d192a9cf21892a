"""A quick prediction of what is on screen while a network learns."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from napari_emcad.inference.events import InferenceSettings, Region
from napari_emcad.inference.segment import NotFinite, segment_slices
from napari_emcad.training.validation import eval_mode

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.imaging.slices import Slices
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.model.network import Head, PvtEmcad


class VisibleRegion:
    """What is on screen: the window tells, a job that runs looks.

    Attributes
    ----------
    slices
        The part of an image that is visible; None for nothing.
    """

    def __init__(self, slices: Slices | None = None) -> None:
        self.slices = slices


_REST = 4.0
"""Between two looks at the screen a training learns at least so many times as long as one took."""


_SHORTEST_REST_S = 2.0


_TILE = 1024
"""Side of a preview's tiles: what is on screen mostly is one."""


def preview_prediction(
    network: PvtEmcad,
    screen: VisibleRegion,
    preprocessing: Preprocessing,
    head: Head,
    device: str,
    stop: threading.Event,
) -> Iterator[Region]:
    """Yield a quick prediction of what is on screen."""
    slices = screen.slices
    if slices is None:
        return
    settings = InferenceSettings(device=device, tile=_TILE, batch=1, draft=True)
    with eval_mode(network):
        for event in segment_slices(network, slices, preprocessing, head, settings, stop):
            if isinstance(event, Region):
                yield event


class PreviewCallback:
    """Looks at the screen now and then, never so often that training slows down much."""

    def __init__(
        self, checkpoint: Checkpoint, screen: VisibleRegion, device: str, stop: threading.Event
    ) -> None:
        self._preprocessing, self._head = checkpoint.preprocessing, checkpoint.head
        self._screen, self._device, self._stop = screen, device, stop
        self._next = time.monotonic() + _SHORTEST_REST_S

    def __call__(self, network: PvtEmcad) -> Iterator[Region]:
        """Yield regions of a new prediction, or nothing if the last one is recent."""
        began = time.monotonic()
        if began < self._next:
            return
        with suppress(NotFinite):  # the training itself ends when its loss is not finite
            yield from preview_prediction(
                network, self._screen, self._preprocessing, self._head, self._device, self._stop
            )
        now = time.monotonic()
        self._next = now + max(_REST * (now - began), _SHORTEST_REST_S)
