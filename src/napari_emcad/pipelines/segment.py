"""Segmentation: an image and a checkpoint in, labels out."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.imaging.slices import Scope, Slices, as_slices
from napari_emcad.inference.events import Event, InferenceSettings, Region, Summary
from napari_emcad.inference.jobs import run_job
from napari_emcad.pipelines.memory import check_fits_memory
from napari_emcad.pipelines.segmentation_model import SegmentationModel, check_model
from napari_emcad.pipelines.warn import warn_if_out_of_range

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_emcad.imaging.range_cache import RangeCache
    from napari_emcad.io.checkpoints.classes import ClassLabel


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """The result of `segment`.

    Attributes
    ----------
    labels
        Labels in the image's spatial shape: the number of the class, 0 for the background (uint8,
        or uint16 for more than 255 classes); or the number of the object if objects were separated
        (uint16, or uint32 for more than 65,535 objects).
    probabilities
        Probabilities ``(K, …)`` as float32, or None if they were not requested. K is 1 for a binary
        network (class 1), else the number of classes including the background, which comes first.
    axes
        One letter per axis of `labels`.
    classes
        Names and colors of classes 1, 2, …
    summary
        Summary of the job, with the class of every separated object.
    """

    labels: NDArray[Any]
    probabilities: NDArray[np.float32] | None
    axes: str
    classes: tuple[ClassLabel, ...]
    summary: Summary


def segment(
    image: Any,
    checkpoint: SegmentationModel,
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
        A numpy, dask, zarr or similar array; of a multiscale pyramid (a list of arrays) the first,
        finest level is used. Lazy arrays are read slice by slice.
    checkpoint
        Checkpoint to segment with, or an instant model (see `fit_instant`).
    axes
        One letter per axis: Y and X, C for channels, any other letter (Z, T, …) for stacked slices.
        None infers the axes if only one interpretation is sensible.
    device
        ``"auto"``, ``"cuda"``, ``"mps"`` or ``"cpu"``.
    channels
        Channel of the image for every input of the network, None for an empty input; a single
        number feeds all inputs.
    scope
        Part of the image to segment; labels outside of it are 0.
    settings
        Settings of the inference; its device is replaced by `device`.
    stop
        Ends the segmentation after the current batch when it is set from another thread; the result
        is then incomplete.
    on_event
        Called with every `Progress`, `Notice` and `Region`.
    **options
        Single fields of `InferenceSettings`, such as ``probabilities=True`` or ``tile=1024``.

    Returns
    -------
    Segmentation
        The labels have the image's shape without the channel axis.

    Warns
    -----
    IntensityRangeWarning
        If the image lies outside of the range that the model expects.

    Raises
    ------
    AxesError
        If axes or channels are ambiguous or do not fit.
    TypeError
        If the pixels are not real numbers, the checkpoint is not a `Checkpoint` (but a path), or an
        option is unknown.
    ValueError
        If the image is empty, an option is out of bounds, the device is not available, the result
        is larger than this computer's memory, or the output of the network is not finite.
    MemoryError
        If there is not enough memory for the smallest tile.
    """
    check_model(checkpoint)
    settings = merge_settings(settings, options, device)
    slices = slices_for(image, checkpoint, axes, channels, scope)
    check_memory(slices.spatial_shape, checkpoint, settings)
    job = segment_job(slices, checkpoint, settings, stop or threading.Event())
    return _collect(job, slices, checkpoint, settings, on_event)


def merge_settings(
    settings: InferenceSettings | None, options: Mapping[str, Any], device: str
) -> InferenceSettings:
    """Return settings with a device and single options replaced.

    Raises
    ------
    TypeError
        If `settings` is not an `InferenceSettings`, or an option is unknown.
    ValueError
        If an option is out of bounds.
    """
    if settings is not None and not isinstance(settings, InferenceSettings):
        raise TypeError(f"settings is {settings!r}; it must be an InferenceSettings.")
    return replace(settings or InferenceSettings(), **options, device=device)


def slices_for(
    image: Any,
    checkpoint: SegmentationModel,
    axes: str | None = None,
    channels: Sequence[int | None] | int | None = None,
    scope: Scope | None = None,
    finest: Any = None,
    ranges: RangeCache | None = None,
) -> Slices:
    """Return the image as slices for a checkpoint's network; raises the errors of `segment`.

    For `finest` and `ranges` see `as_slices`.
    """
    inputs = checkpoint.config.input_channels
    return as_slices(finest_level(image), inputs, axes, channels, scope, finest, ranges)


def check_memory(
    shape: tuple[int, ...], checkpoint: SegmentationModel, settings: InferenceSettings
) -> None:
    """Check that a result of this spatial shape fits into this computer's memory.

    Raises
    ------
    ValueError
        If it does not; the message says how much is needed.
    """
    size = np.dtype(initial_label_dtype(checkpoint, settings)).itemsize
    size += 4 * checkpoint.config.num_classes if settings.probabilities else 0
    check_fits_memory(size * prod(shape))


def finest_level(image: Any) -> Any:
    """Return the first level of a multiscale pyramid; other arguments are returned unchanged."""
    is_list = isinstance(image, (list, tuple))
    is_pyramid = is_list and all(hasattr(level, "shape") for level in image)
    return image[0] if is_pyramid and image else image


def segment_job(
    slices: Slices,
    checkpoint: SegmentationModel,
    settings: InferenceSettings,
    stop: threading.Event,
    object_classes: Sequence[int] = (),
) -> Generator[Event, None, Summary]:
    """Segment slices; torch is imported when the job starts.

    Parameters
    ----------
    slices
        Slices of the image.
    checkpoint, settings
        Model and settings of the inference.
    stop
        Ends the job after the current batch.
    object_classes
        Classes of the objects that the result has already; new objects get the following numbers.

    Yields
    ------
    Region, Progress, Notice
        A region per tile, progress after every batch, and remarks for the user.

    Returns
    -------
    Summary
    """
    from napari_emcad.inference.fast_network import borrow_network
    from napari_emcad.inference.segment import describe_memory_errors, segment_slices

    preprocessing, head = checkpoint.preprocessing, checkpoint.head
    with describe_memory_errors(), borrow_network(checkpoint, settings) as network:
        return (
            yield from segment_slices(
                network, slices, preprocessing, head, settings, stop, object_classes
            )
        )


def _collect(
    job: Generator[Event, None, Summary],
    slices: Slices,
    checkpoint: SegmentationModel,
    settings: InferenceSettings,
    on_event: Callable[[Event], object] | None,
) -> Segmentation:
    """Run a job and return its regions as one segmentation."""
    labels = np.zeros(slices.spatial_shape, initial_label_dtype(checkpoint, settings))
    probabilities: NDArray[np.float32] | None = None
    if settings.probabilities:
        shape = (checkpoint.config.num_classes, *slices.spatial_shape)
        probabilities = np.zeros(shape, np.float32)

    def collect(event: Event) -> None:
        nonlocal labels
        warn_if_out_of_range(event)
        if isinstance(event, Region):
            labels = write_region(labels, event)
            if probabilities is not None and event.probabilities is not None:
                probabilities[(slice(None), *event.where)] = event.probabilities
        if on_event is not None:
            on_event(event)

    summary = run_job(job, collect)
    return Segmentation(labels, probabilities, slices.spatial_axes, checkpoint.classes, summary)


def initial_label_dtype(
    checkpoint: SegmentationModel, settings: InferenceSettings
) -> type[np.generic]:
    """Return the type of an empty result; `write_region` widens it if objects need more."""
    wide = settings.clean_up.separate or checkpoint.config.num_classes > 256
    return np.uint16 if wide else np.uint8


def write_region(labels: NDArray[Any], region: Region) -> NDArray[Any]:
    """Write a region into labels and return them; they are copied if their type is too small."""
    if not np.can_cast(region.labels.dtype, labels.dtype):
        labels = labels.astype(region.labels.dtype)
    labels[region.where] = region.labels
    return labels
