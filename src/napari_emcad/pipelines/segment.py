"""What can be asked of an image and a checkpoint, from Python, a terminal or a window.

To segment it; to see what the network does inside is in `napari_emcad.pipelines.stage_maps`.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.imaging.slices import Scope, Slices, as_slices
from napari_emcad.inference.events import Event, InferenceSettings, Region, Summary

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.io.checkpoints.classes import ClassLabel


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """A finished segmentation.

    Attributes
    ----------
    labels
        The image's spatial shape; class k is k and the background 0 (uint8, or uint16 for more
        than 255 classes), or objects are 1, 2, … if they were separated (uint16, or uint32 for
        more than 65,535 objects).
    probabilities
        ``(K, …)`` float32 if asked for, else None. K is the channels of the network's heads: one
        for a binary network (of its class 1), else one per class with the background first.
    axes
        A letter per axis of `labels`.
    classes
        Names and colors of classes 1, 2, …
    summary
        How the job went; see there for the class of each separated object.
    """

    labels: NDArray[Any]
    probabilities: NDArray[np.float32] | None
    axes: str
    classes: tuple[ClassLabel, ...]
    summary: Summary


def segment(
    image: Any,
    checkpoint: Checkpoint,
    axes: str | None = None,
    device: str = "auto",
    *,
    channels: Sequence[int | None] | int | None = None,
    scope: Scope | None = None,
    settings: InferenceSettings | None = None,
    stop: threading.Event | None = None,
    on_event: Callable[[Event], object] | None = None,
    **options: Any,
) -> Segmentation:
    """Segment an image of any size, rank and type.

    Parameters
    ----------
    image
        A numpy, dask or zarr array, or anything like it; of a multiscale pyramid (a list of
        arrays) the first, finest level counts. Lazy arrays are read slice by slice.
    checkpoint
        What to segment with.
    axes
        A letter per axis: Y and X, C for channels, any other (Z, T, …) stacks slices. None
        guesses where only one reading is sensible.
    device
        ``"auto"``, ``"cuda"``, ``"mps"`` or ``"cpu"``.
    channels
        For each input of the network the image's channel, None for an empty one; a single channel
        feeds all.
    scope
        The part to segment; labels outside stay 0.
    settings
        How to compute; `device` counts, not the one in here.
    stop
        Set it from another thread to end after the current batch and get what is done.
    on_event
        Called with each `Progress`, `Notice` and `Region` as it comes.
    **options
        Single fields of `InferenceSettings`, such as ``probabilities=True`` or ``tile=1024``.

    Returns
    -------
    Segmentation
        Its labels have the image's shape without the channel axis.

    Raises
    ------
    AxesError
        If axes or channels are ambiguous or do not fit.
    TypeError
        If the pixels are not real numbers, the checkpoint is none (a path for instance), or an
        option is unknown.
    ValueError
        If the image is empty, an option is out of bounds, the device is not there, the result is
        larger than this computer's memory, or the network's answer is not finite.
    MemoryError
        If memory is short even for the smallest tile.
    """
    check_checkpoint(checkpoint)
    settings = merge_settings(settings, options, device)
    slices = slices_for(image, checkpoint, axes, channels, scope)
    check_memory(slices.spatial_shape, checkpoint, settings)
    job = segment_job(slices, checkpoint, settings, stop or threading.Event())
    return _collected(job, slices, checkpoint, settings, on_event)


def check_checkpoint(checkpoint: object) -> None:
    """Refuse what is no checkpoint, a path for instance.

    Raises
    ------
    TypeError
        It says how to get one.
    """
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint

    if isinstance(checkpoint, (str, os.PathLike)):
        path = os.fspath(checkpoint)
        raise TypeError(f"The checkpoint is a path; open it with read_checkpoint({path!r}).")
    if not isinstance(checkpoint, Checkpoint):
        raise TypeError(
            f"The checkpoint is of type {type(checkpoint).__name__}; take one from "
            f"read_checkpoint, bundled_checkpoint or start_checkpoint."
        )


def merge_settings(
    settings: InferenceSettings | None, options: Mapping[str, Any], device: str
) -> InferenceSettings:
    """Return settings with single options and a device set.

    Raises
    ------
    TypeError
        If they are no settings, or an option is unknown.
    ValueError
        If an option is out of bounds.
    """
    if settings is not None and not isinstance(settings, InferenceSettings):
        raise TypeError(f"settings is {settings!r}; it must be an InferenceSettings.")
    return replace(settings or InferenceSettings(), **options, device=device)


def slices_for(
    image: Any,
    checkpoint: Checkpoint,
    axes: str | None = None,
    channels: Sequence[int | None] | int | None = None,
    scope: Scope | None = None,
) -> Slices:
    """Return the image as slices for a checkpoint's network; see `segment` for what is raised."""
    return as_slices(finest_level(image), checkpoint.config.input_channels, axes, channels, scope)


def check_memory(
    shape: tuple[int, ...], checkpoint: Checkpoint, settings: InferenceSettings
) -> None:
    """Refuse a segmentation that cannot fit into this computer's memory.

    Raises
    ------
    ValueError
        It says how much is needed.
    """
    size = np.dtype(initial_label_dtype(checkpoint, settings)).itemsize
    size += 4 * checkpoint.config.num_classes if settings.probabilities else 0
    check_fits_memory(size * prod(shape))


def check_fits_memory(needed: int) -> None:
    """Refuse a result of so many bytes if this computer has fewer.

    Raises
    ------
    ValueError
        It says how much is needed.
    """
    there = _memory()
    if there and needed > there:
        raise ValueError(
            f"The result would need {_gib(needed)}, this computer has {_gib(there)}; take a "
            f"coarser resolution or a part of the image."
        )


def _memory() -> int | None:
    """Return the bytes of this computer's memory, where it says."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _gib(size: int) -> str:
    return f"{size / 2**30:,.0f} GiB"


def finest_level(image: Any) -> Any:
    """Return the first level of a multiscale pyramid, and anything else as it is."""
    is_pyramid = isinstance(image, (list, tuple)) and all(hasattr(each, "shape") for each in image)
    return image[0] if is_pyramid and image else image


def segment_job(
    slices: Slices,
    checkpoint: Checkpoint,
    settings: InferenceSettings,
    stop: threading.Event,
    object_classes: Sequence[int] = (),
) -> Generator[Event, None, Summary]:
    """Return the job that segments these slices; torch is imported when it first runs.

    It yields a `Region` per tile, `Progress` per batch and a `Notice` where something needs to be
    said, and returns a `Summary`. Separated objects are numbered on from `object_classes`, the
    classes of those that the result has already.
    """
    from napari_emcad.inference.segment import describe_memory_errors, segment_slices

    preprocessing, head = checkpoint.preprocessing, checkpoint.head
    with describe_memory_errors():
        network = checkpoint.network()
        return (
            yield from segment_slices(
                network, slices, preprocessing, head, settings, stop, object_classes
            )
        )


def _collected(
    job: Generator[Event, None, Summary],
    slices: Slices,
    checkpoint: Checkpoint,
    settings: InferenceSettings,
    on_event: Callable[[Event], object] | None,
) -> Segmentation:
    labels = np.zeros(slices.spatial_shape, initial_label_dtype(checkpoint, settings))
    chances: NDArray[np.float32] | None = None
    if settings.probabilities:
        shape = (checkpoint.config.num_classes, *slices.spatial_shape)
        chances = np.zeros(shape, np.float32)
    while True:
        try:
            event = next(job)
        except StopIteration as ended:
            summary: Summary = ended.value
            break
        if isinstance(event, Region):
            labels = write_region(labels, event)
            if chances is not None and event.probabilities is not None:
                chances[(slice(None), *event.where)] = event.probabilities
        if on_event is not None:
            on_event(event)
    return Segmentation(labels, chances, slices.spatial_axes, checkpoint.classes, summary)


def initial_label_dtype(checkpoint: Checkpoint, settings: InferenceSettings) -> type[np.generic]:
    """Return the type of an empty result; `write_region` widens it if objects need more."""
    wide = settings.clean_up.separate or checkpoint.config.num_classes > 256
    return np.uint16 if wide else np.uint8


def write_region(labels: NDArray[Any], region: Region) -> NDArray[Any]:
    """Write a region into labels, in place unless they are too narrow for it, and return them."""
    if region.labels.dtype.itemsize > labels.dtype.itemsize:
        labels = labels.astype(region.labels.dtype)
    labels[region.where] = region.labels
    return labels
