"""The segmentation job: batch after batch of patches, smaller ones when memory runs out."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from napari_emcad.imaging.exposure import range_mismatch
from napari_emcad.inference.batch_size import (
    first_batch_size,
    out_of_memory_message,
    size_notice,
)
from napari_emcad.inference.devices import (
    choose_device,
    device_title,
    free_memory,
    half_precision,
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
from napari_emcad.inference.fast_network import half_autocast
from napari_emcad.inference.network_pool import NETWORK_POOL
from napari_emcad.inference.patches import Patch, PatchPlan, Preprocessor, make_plan
from napari_emcad.inference.postprocess import Postprocessor

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator, Iterator, Sequence

    from numpy.typing import NDArray

    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.imaging.slices import Slices
    from napari_emcad.model.segmenter import Head, Segmenter

    Ending = Literal["finished", "stopped", "out of memory"]
    Predict = Callable[[list[Patch]], NDArray[np.float32]]


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


def segment_slices(
    network: Segmenter,
    slices: Slices,
    preprocessing: Preprocessing,
    head: Head,
    settings: InferenceSettings,
    stop: threading.Event,
    object_classes: Sequence[int] = (),
) -> Generator[Event, None, Summary]:
    """Segment slice by slice, yielding regions as they come and progress per batch.

    When memory runs out the batch is halved, then the tile, and the slice is done again; a
    `Notice` says so. A `RangeNotice` says that the image is outside of the model's range,
    or mostly NaN or infinite.

    Parameters
    ----------
    network
        In eval mode, on the device of the settings; see `napari_emcad.inference.fast_network`.
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
    preprocessor = Preprocessor(slices, preprocessing)
    postprocessor = Postprocessor(slices, settings, object_classes)
    size = first_batch_size(device, slices, preprocessing, settings)
    first, notices = 0, list[str]()
    checks = slices.fits_in_memory and not settings.draft
    if checks and (mismatch := range_mismatch(slices, preprocessing)):
        notices.append(mismatch)
        yield RangeNotice(mismatch)
    while True:
        plan = make_plan(slices, preprocessing, size.tile, settings.overlap)
        predict = make_predictor(network, head, preprocessing.zoom, device, settings)
        job = _segment_from(first, plan, size.batch, preprocessor, postprocessor, predict, stop)
        first, ending = yield from job
        if ending != "out of memory":
            break
        postprocessor.discard_slice()
        NETWORK_POOL.clear()
        free_memory()
        smaller = size.smaller(tiled=preprocessing.size is None)
        if smaller is None:
            raise OutOfMemory(out_of_memory_message(device, size.tile, preprocessing))
        size = smaller
        notices.append(size_notice(device, size, preprocessing))
        yield Notice(notices[-1])
    if not settings.draft and (mismatch := preprocessor.exposure.message()):
        notices.append(mismatch)
        yield RangeNotice(mismatch)
    if not settings.draft and preprocessor.pixels.mostly_not_finite:
        notices.append(preprocessor.pixels.message)
        yield RangeNotice(notices[-1])
    title = device_title(device, settings.full_precision)
    total = len(slices.indices)
    objects = tuple(postprocessor.object_classes)
    empty = preprocessor.pixels.message
    return Summary(ending, first, total, title, tuple(notices), objects, empty)


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


def make_predictor(
    network: Segmenter,
    head: Head,
    zoom: float,
    device: torch.device,
    settings: InferenceSettings,
) -> Predict:
    """Return a function that computes the logits ``(n, K, h, w)`` of a batch of patches.

    Parameters
    ----------
    network, head
        The network, on the device, and the head whose logits are the prediction.
    zoom
        Factor by which patches are enlarged for the network.
    device, settings
        Where the network is, and in which precision it computes.
    """
    half = None if settings.full_precision else half_precision(device)

    def predict(batch: list[Patch]) -> NDArray[np.float32]:
        pixels = torch.from_numpy(np.stack([patch.pixels for patch in batch])).to(device)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), half_autocast(network, device, half):
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
