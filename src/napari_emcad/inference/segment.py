"""The segmentation job: batch after batch of patches, smaller ones when memory runs out."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from napari_emcad.imaging.exposure import range_mismatch
from napari_emcad.inference.devices import (
    autocast_type,
    choose_device,
    device_choices,
    free_memory,
    is_out_of_memory,
    none_if_out_of_memory,
)
from napari_emcad.inference.events import (
    Event,
    InferenceSettings,
    Notice,
    Progress,
    RangeNotice,
    Summary,
)
from napari_emcad.inference.patches import Patch, PatchPlan, Preprocessor, make_plan
from napari_emcad.inference.postprocess import Postprocessor
from napari_emcad.model.fuse import fused_copy

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
"""Side in pixels; no smaller tile is tried when memory runs out."""

_PIXELS = {"cpu": 512**2, "cuda": 16 * 512**2, "mps": 4 * 512**2}
"""Pixels of a batch by type of device, unless the user sets the batch size."""


class OutOfMemory(MemoryError):
    """Memory was short even for the smallest patch."""


@contextmanager
def describe_memory_errors() -> Iterator[None]:
    """Turn every error of torch or NumPy that means that memory ran out into `OutOfMemory`.

    Raises
    ------
    OutOfMemory
        If memory ran out; the message says what to do.
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
        "Memory ran out. Close other programs, or choose a coarser resolution or a part of the "
        "image."
    )


class NotFinite(ValueError):
    """The output of a network is NaN or infinite; the message says what to do."""


@dataclass(frozen=True, slots=True)
class _BatchSize:
    """Side of a tile in pixels, and number of patches that are computed at once."""

    tile: int
    batch: int

    def smaller(self, tiled: bool) -> _BatchSize | None:
        """Return the next smaller one to try when memory ran out, or None."""
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
    """Segment slice by slice, yielding regions as they come and progress per batch.

    When memory runs out the batch is halved, then the tile, and the slice is done again; a
    `Notice` says so. A `RangeNotice` says that the image is outside of the model's range.

    Parameters
    ----------
    network
        In eval mode; a faster copy of it computes.
    slices
        The image.
    preprocessing
        Conversion of pixels to network inputs.
    head
        The head whose logits are the prediction.
    settings
        Device, tiles, threshold, clean-up.
    stop
        Set it, from any thread, to end the job after the current batch; finished regions stay.
    object_classes
        Classes of objects 1, 2, … that the result has already; further objects are numbered on.

    Raises
    ------
    ValueError
        If the device cannot be used.
    NotFinite
        If the network's output is NaN or infinite.
    OutOfMemory
        If memory is short even for the smallest patch.
    """
    device = choose_device(settings.device)
    network = fused_copy(network).to(device)
    preprocessor = Preprocessor(slices, preprocessing)
    postprocessor = Postprocessor(slices, settings, object_classes)
    size = _first_batch_size(device, slices, preprocessing, settings)
    first, notices = 0, list[str]()
    checks = slices.fits_in_memory and not settings.draft
    if checks and (mismatch := range_mismatch(slices, preprocessing)):
        notices.append(mismatch)
        yield RangeNotice(mismatch)
    while True:
        plan = make_plan(slices, preprocessing, size.tile, settings.overlap)
        predict = _predictor(network, head, preprocessing.zoom, device, settings)
        job = _segment_from(first, plan, size.batch, preprocessor, postprocessor, predict, stop)
        first, ending = yield from job
        if ending != "out of memory":
            break
        postprocessor.discard_slice()
        free_memory()
        smaller = size.smaller(tiled=preprocessing.size is None)
        if smaller is None:
            raise OutOfMemory(out_of_memory_message(device, size.tile, preprocessing))
        size = smaller
        notices.append(_size_notice(device, size, preprocessing))
        yield Notice(notices[-1])
    if not settings.draft and (mismatch := preprocessor.exposure.message()):
        notices.append(mismatch)
        yield RangeNotice(mismatch)
    title = next(choice.title for choice in device_choices() if choice.name == device.type)
    total = len(slices.indices)
    objects = tuple(postprocessor.object_classes)
    return Summary(ending, first, total, title, tuple(notices), objects)


def _segment_from(
    first: int,
    plan: PatchPlan,
    batch_size: int,
    preprocessor: Preprocessor,
    postprocessor: Postprocessor,
    predict: Predict,
    stop: threading.Event,
) -> Generator[Event, None, tuple[int, Ending]]:
    """Segment from slice `first` on; return the first slice that is not final, and the ending."""
    indices = preprocessor.slices.indices
    per_slice, total = plan.patches_per_slice, len(indices) * plan.patches_per_slice
    done, stitcher, number = first * per_slice, None, first
    yield Progress(done, total)
    batches = _batches(plan, preprocessor, first, batch_size)
    while (batch := none_if_out_of_memory(next, batches, [])) != []:
        if stop.is_set():
            return number, "stopped"
        logits = None if batch is None else none_if_out_of_memory(predict, batch)
        if batch is None or logits is None:
            return number, "out of memory"
        for patch, patch_logits in zip(batch, logits, strict=True):
            stitcher = stitcher or plan.stitcher(len(patch_logits))
            index, top, left = indices[patch.number], patch.top, patch.left
            stitched = none_if_out_of_memory(stitcher.add, top, left, patch_logits)
            if stitched is None:
                return number, "out of memory"
            yield postprocessor.process_patch(index, top, left, stitched)
            done += 1
            if done % per_slice == 0:
                number, stitcher = patch.number + 1, None
                final = postprocessor.finish_slice(index)
                if final is not None:
                    yield final
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
        pixels = torch.from_numpy(np.stack([patch.pixels for patch in batch])).to(device)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), torch.autocast(device.type, half, enabled=half is not None):
            output = network.predict(pixels, head, zoom)
            logits: NDArray[np.float32] = output.float().cpu().numpy()
        check_finite(np.isfinite(logits).all(), half)
        return logits

    return predict


def check_finite(finite: bool | np.bool, half: torch.dtype | None) -> None:
    """Refuse the output of a network that is not finite.

    Parameters
    ----------
    finite
        Whether all numbers are.
    half
        The half precision in which the output was computed; None for full precision.

    Raises
    ------
    NotFinite
        If the output is not finite; the message says what to do.
    """
    if finite:
        return
    if half is not None:
        name = str(half).removeprefix("torch.")
        raise NotFinite(
            f"The network's output is not finite (NaN or infinity) in {name}; compute in "
            f"full precision (under Advanced; full_precision=True; --full-precision)."
        )
    raise NotFinite(
        "The network's output is not finite (NaN or infinity): its weights are damaged, or pixel "
        "values are far from those it was trained on; use another copy of the checkpoint, or "
        "check its preprocessing."
    )


def _first_batch_size(
    device: torch.device, slices: Slices, preprocessing: Preprocessing, settings: InferenceSettings
) -> _BatchSize:
    if preprocessing.size is None:
        height, width = (round(s * preprocessing.zoom) for s in (slices.height, slices.width))
        tile = min(settings.tile, max(height, width))
        area = min(tile, height) * min(tile, width)
    else:
        tile, area = settings.tile, preprocessing.size[0] * preprocessing.size[1]
    return _BatchSize(tile, settings.batch or max(1, _PIXELS[device.type] // max(area, 1)))


def _size_notice(device: torch.device, size: _BatchSize, preprocessing: Preprocessing) -> str:
    of_pixels = f" of {size.tile} pixels" if preprocessing.size is None else ""
    name = "tile" if preprocessing.size is None else "slice"
    count = f"one {name}{of_pixels}" if size.batch == 1 else f"{size.batch} {name}s{of_pixels}"
    return f"Memory ran out on {device.type}; went on with {count} at once."


def out_of_memory_message(device: torch.device, tile: int, preprocessing: Preprocessing) -> str:
    """Return the message that memory is short even for one tile of this side, or for one slice."""
    if preprocessing.size is None:
        return (
            f"Memory on {device.type} is short even for one tile of {tile} pixels. Close other "
            f"programs, or choose another device."
        )
    return (
        f"Memory on {device.type} is short even for one slice of {preprocessing.size} pixels. "
        f"Choose a smaller size or another device."
    )
