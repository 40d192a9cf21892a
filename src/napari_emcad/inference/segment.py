"""The inference job: one batch after another, smaller ones when memory runs out."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from napari_emcad.inference.devices import (
    autocast_type,
    choose_device,
    device_choices,
    free_memory,
    is_out_of_memory,
    none_if_out_of_memory,
)
from napari_emcad.inference.events import Event, InferenceSettings, Notice, Progress, Summary
from napari_emcad.inference.patches import Patch, PatchPlan, Preprocessor, make_plan
from napari_emcad.inference.postprocess import Postprocessor

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator, Iterator, Sequence

    from numpy.typing import NDArray

    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.imaging.slices import Slices
    from napari_emcad.model.network import Head, PvtEmcad

    Ending = Literal["finished", "stopped", "out of memory"]
    Predict = Callable[[list[Patch]], NDArray[np.float32]]

SMALLEST_TILE = 64
"""No smaller tile is tried when memory runs out."""

_PIXELS = {"cpu": 512**2, "cuda": 16 * 512**2, "mps": 4 * 512**2}
"""Pixels of a batch, unless the user says how many pieces."""


class OutOfMemory(MemoryError):
    """Memory was short even for the smallest piece."""


@contextmanager
def describe_memory_errors() -> Iterator[None]:
    """Say in a sentence that memory ran out, wherever it was; any other error stays as it is.

    Raises
    ------
    OutOfMemory
        If it did.
    """
    try:
        yield
    except OutOfMemory:
        raise
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    else:
        return
    raise OutOfMemory(
        "Memory ran out. Close other programs, or take a coarser resolution or a part of the image."
    )


class NotFinite(ValueError):
    """A network answered NaN or infinity; the message says what to do."""


@dataclass(frozen=True, slots=True)
class _Effort:
    """How much is computed at once: so many pieces, of tiles that the network sees so large."""

    tile: int
    batch: int

    def smaller(self, tiled: bool) -> _Effort | None:
        if self.batch > 1:
            return replace(self, batch=self.batch // 2)
        half = self.tile // 2
        return replace(self, tile=half) if tiled and half >= SMALLEST_TILE else None


def segment_slices(
    network: PvtEmcad,
    slices: Slices,
    preprocessing: Preprocessing,
    head: Head,
    settings: InferenceSettings,
    stop: threading.Event,
    object_classes: Sequence[int] = (),
) -> Generator[Event, None, Summary]:
    """Segment slice by slice, yielding regions as they come and progress after each batch.

    When memory runs out the batch is halved, then the tile, and the slice is done again; a
    `Notice` says so.

    Parameters
    ----------
    network
        In eval mode; it is moved to the device.
    slices
        What to segment.
    preprocessing
        What happens to pixels first.
    head
        Which map is the prediction.
    settings
        How to compute.
    stop
        Set it, from any thread, to end the job after the current batch; what is done stays.
    object_classes
        Classes of objects 1, 2, … that the result has already; separated ones are numbered on.

    Raises
    ------
    ValueError
        If the device cannot be used.
    NotFinite
        If the network answers NaN or infinity.
    OutOfMemory
        If memory is short even for the smallest piece.
    """
    device = choose_device(settings.device)
    network = network.to(device)
    preprocessor = Preprocessor(slices, preprocessing)
    postprocessor = Postprocessor(slices, settings, object_classes)
    effort = _first_effort(device, slices, preprocessing, settings)
    first, notices = 0, list[str]()
    while True:
        plan = make_plan(slices, preprocessing, effort.tile, settings.overlap)
        predict = _predictor(network, head, preprocessing.zoom, device, settings)
        walk = _walk(plan, effort.batch, preprocessor, postprocessor, predict, first, stop)
        first, ending = yield from walk
        if ending != "out of memory":
            break
        postprocessor.discard_slice()
        free_memory()
        less = effort.smaller(tiled=preprocessing.size is None)
        if less is None:
            raise OutOfMemory(out_of_memory_message(device, effort.tile, preprocessing))
        effort = less
        notices.append(_used(device, effort, preprocessing))
        yield Notice(notices[-1])
    title = next(each.title for each in device_choices() if each.name == device.type)
    total = len(slices.indices)
    objects = tuple(postprocessor.object_classes)
    return Summary(ending, first, total, title, tuple(notices), objects)


def _walk(
    plan: PatchPlan,
    batch_size: int,
    preprocessor: Preprocessor,
    postprocessor: Postprocessor,
    predict: Predict,
    first: int,
    stop: threading.Event,
) -> Generator[Event, None, tuple[int, Ending]]:
    """Segment from slice `first` on; return the first slice that is not final, and why."""
    indices = preprocessor.slices.indices
    each, total = plan.patches_per_slice, len(indices) * plan.patches_per_slice
    done, stitcher, number = first * each, None, first
    yield Progress(done, total)
    batches = _batches(plan, preprocessor, first, batch_size)
    while (batch := none_if_out_of_memory(next, batches, [])) != []:
        if stop.is_set():
            return number, "stopped"
        logits = None if batch is None else none_if_out_of_memory(predict, batch)
        if batch is None or logits is None:
            return number, "out of memory"
        for patch, said in zip(batch, logits, strict=True):
            stitcher = stitcher or plan.stitcher(len(said))
            index, top, left = indices[patch.number], patch.top, patch.left
            joined = none_if_out_of_memory(stitcher.add, top, left, said)
            if joined is None:
                return number, "out of memory"
            yield postprocessor.process_patch(index, top, left, joined)
            done += 1
            if done % each == 0:
                number, stitcher = patch.number + 1, None
                last = postprocessor.finish_slice(index)
                if last is not None:
                    yield last
        yield Progress(done, total)
    return number, "finished"


def _batches(
    plan: PatchPlan, preprocessor: Preprocessor, first: int, size: int
) -> Iterator[list[Patch]]:
    numbers = range(first, len(preprocessor.slices.indices))
    patches = (patch for number in numbers for patch in plan.patches(preprocessor, number))
    while batch := list(islice(patches, size)):
        yield batch


def _predictor(
    network: PvtEmcad,
    head: Head,
    zoom: float,
    device: torch.device,
    settings: InferenceSettings,
) -> Predict:
    half = None if settings.full_precision else autocast_type(device, settings.draft)

    def predict(batch: list[Patch]) -> NDArray[np.float32]:
        pixels = torch.from_numpy(np.stack([patch.pixels for patch in batch]))
        with torch.inference_mode(), torch.autocast(device.type, half, enabled=half is not None):
            logits = network.predict(pixels.to(device), head, zoom)
            said: NDArray[np.float32] = logits.float().cpu().numpy()
        check_finite(np.isfinite(said).all(), half)
        return said

    return predict


def check_finite(finite: bool | np.bool, half: torch.dtype | None) -> None:
    """Refuse a network's answer that is not finite.

    Parameters
    ----------
    finite
        Whether it is.
    half
        The half precision in which it was computed; None for full precision.

    Raises
    ------
    NotFinite
        If it is not; the message says what to do.
    """
    if finite:
        return
    if half is not None:
        raise NotFinite(
            f"The network's answer is not finite (NaN or infinity) in {_name(half)}; compute in "
            f"full precision (under Advanced; full_precision=True; --full-precision)."
        )
    raise NotFinite(
        "The network's answer is not finite (NaN or infinity): its weights are damaged, or pixel "
        "values are far from those it was trained on; use another copy of the checkpoint, or "
        "check its preprocessing."
    )


def _name(kind: torch.dtype) -> str:
    return str(kind).removeprefix("torch.")


def _first_effort(
    device: torch.device, slices: Slices, preprocessing: Preprocessing, settings: InferenceSettings
) -> _Effort:
    if preprocessing.size is None:
        height, width = (round(s * preprocessing.zoom) for s in (slices.height, slices.width))
        tile = min(settings.tile, max(height, width))
        area = min(tile, height) * min(tile, width)
    else:
        tile, area = settings.tile, preprocessing.size[0] * preprocessing.size[1]
    return _Effort(tile, settings.batch or max(1, _PIXELS[device.type] // max(area, 1)))


def _used(device: torch.device, effort: _Effort, preprocessing: Preprocessing) -> str:
    size = f" of {effort.tile} pixels" if preprocessing.size is None else ""
    patch = "tile" if preprocessing.size is None else "slice"
    patches = f"one {patch}{size}" if effort.batch == 1 else f"{effort.batch} {patch}s{size}"
    return f"Memory ran out on {device.type}; went on with {patches} at once."


def out_of_memory_message(device: torch.device, tile: int, preprocessing: Preprocessing) -> str:
    """Return that memory is short even for one tile of so many pixels, or for one slice."""
    if preprocessing.size is None:
        return (
            f"Memory on {device.type} is short even for one tile of {tile} pixels. Close other "
            f"programs, or choose another device."
        )
    return (
        f"Memory on {device.type} is short even for one slice of {preprocessing.size} pixels. "
        f"Choose a smaller size or another device."
    )
