"""Prediction of the visible part of an image while a network learns."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_emcad.inference.devices import choose_device, half_precision
from napari_emcad.inference.events import InferenceSettings, Region
from napari_emcad.inference.fast_network import fast_copy
from napari_emcad.inference.segment import NotFinite, segment_slices
from napari_emcad.interactive.visible_region import place_of
from napari_emcad.training.validation import eval_mode

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.imaging.slices import Where
    from napari_emcad.interactive.visible_region import VisibleRegion
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.model.segmenter import Head, Segmenter

_PAUSE_FACTOR = 4.0
"""Training time between two previews, as a multiple of the duration of a preview."""

_SHORTEST_PAUSE_S = 2.0

_TILE = 1024
"""Side of a preview's tiles in pixels; the visible part mostly is one tile."""


def predict_visible(
    network: Segmenter,
    visible: VisibleRegion,
    preprocessing: Preprocessing,
    head: Head,
    device: str,
    stop: threading.Event,
) -> Iterator[Region]:
    """Yield regions of a quick prediction of the visible part; the first one has `begins`.

    Parameters
    ----------
    network
        Network that learns; it is set to evaluation mode meanwhile.
    visible
        Visible part of an image.
    preprocessing, head
        Conversion of pixels to network inputs, and the head that predicts.
    device
        Name of the device.
    stop
        Ends the prediction after the current tile.
    """
    slices = visible.slices
    if slices is None:
        return
    begins: Where | None = place_of(slices)
    settings = InferenceSettings(device=device, tile=_TILE, batch=1, draft=True)
    with eval_mode(network):
        chosen = choose_device(device)
        fast = fast_copy(network, chosen, half_precision(chosen))
        for event in segment_slices(fast, slices, preprocessing, head, settings, stop):
            if isinstance(event, Region):
                yield replace(event, begins=begins)
                begins = None


class PreviewSchedule:
    """Predicts the visible part now and then, so rarely that training slows down little.

    Parameters
    ----------
    checkpoint
        Its preprocessing and head are used.
    visible, device, stop
        See `predict_visible`.
    clock
        Returns seconds.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        visible: VisibleRegion,
        device: str,
        stop: threading.Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._checkpoint, self._visible = checkpoint, visible
        self._device, self._stop, self._clock = device, stop, clock
        self._next = clock() + _SHORTEST_PAUSE_S

    def __call__(self, network: Segmenter) -> Iterator[Region]:
        """Predict the visible region, tile by tile; yield nothing before the pause is over."""
        start = self._clock()
        if start < self._next:
            return
        preprocessing, head = self._checkpoint.preprocessing, self._checkpoint.head
        with suppress(NotFinite):  # the training itself ends when its loss is not finite
            yield from predict_visible(
                network, self._visible, preprocessing, head, self._device, self._stop
            )
        end = self._clock()
        self._next = end + max(_PAUSE_FACTOR * (end - start), _SHORTEST_PAUSE_S)
