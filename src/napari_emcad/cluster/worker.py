"""What a worker computes: a part of an image, from its file to a file of its labels."""

from __future__ import annotations

import os
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import numpy as np

from napari_emcad.cluster.checked_image import CheckedImage
from napari_emcad.cluster.tasks import (
    Failure,
    ImageTask,
    ModelFile,
    PartDone,
    installed_versions,
    version_problem,
)
from napari_emcad.imaging.exposure import range_mismatch
from napari_emcad.imaging.range_cache import KnownRanges
from napari_emcad.imaging.ranges import intensity_ranges
from napari_emcad.imaging.slices import as_slices
from napari_emcad.io.checkpoints.read_model import read_model
from napari_emcad.io.checkpoints.sniff import file_sha256
from napari_emcad.io.images.opened_image import first_line
from napari_emcad.io.images.read import read_image
from napari_emcad.io.images.zarr_writer import write_zarr_block
from napari_emcad.io.segment_run import read_part, write_part

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_emcad.imaging.parts import Part
    from napari_emcad.imaging.range_cache import Ranges
    from napari_emcad.imaging.slices import Slices
    from napari_emcad.inference.part import Planes
    from napari_emcad.pipelines.segmentation_model import SegmentationModel

P = ParamSpec("P")
T = TypeVar("T")


def _failures(
    function: Callable[Concatenate[ImageTask, P], T],
) -> Callable[Concatenate[ImageTask, P], T | Failure]:
    """Return a function whose errors become a `Failure`, which dask passes on without a log."""

    @wraps(function)
    def call(task: ImageTask, /, *args: P.args, **kwargs: P.kwargs) -> T | Failure:
        for value in _flat(args):
            if isinstance(value, Failure):
                return value
        problem = version_problem(task.versions, installed_versions(), worker_name())
        if problem:
            return Failure(problem)
        try:
            _bound_threads()
            return function(task, *args, **kwargs)
        except (ValueError, TypeError, MemoryError) as error:
            return Failure(str(error) or "memory ran out")
        except OSError as error:
            return Failure(f"{error.filename or task.folder}: {first_line(error)}.")

    return call


@_failures
def compute_ranges(task: ImageTask, number: int) -> Ranges:
    """Return the ranges of intensity of a slice, or of the stack if it has one for all slices."""
    model = load_model(task.model)
    slices = open_slices(task, model)
    return intensity_ranges(slices, slices.indices[number], model.preprocessing)


@_failures
def compute_part(task: ImageTask, part: Part, ranges: Ranges | None = None) -> PartDone:
    """Segment a part of an image and write it.

    Parameters
    ----------
    task
        The image.
    part
        Complete slices, which are finished, or a band, which `join_bands` finishes if needed.
    ranges
        Ranges of intensity of the whole; None computes those of complete slices.
    """
    from napari_emcad.inference.fast_network import borrow_network
    from napari_emcad.inference.part import finish_planes, segment_part
    from napari_emcad.inference.segment import describe_memory_errors

    model = load_model(task.model)
    slices = open_slices(task, model, ranges)
    with describe_memory_errors(), borrow_network(model, task.settings) as network:
        preprocessing, head = model.preprocessing, model.head
        planes = segment_part(network, slices, part, preprocessing, head, task.settings)
    if part.rows is None:
        planes = finish_planes(planes, task.settings)
    _write(task, slices, part, planes)
    is_first = part.first == 0 and (part.rows is None or part.rows[0] == 0)
    return PartDone(part.key, range_mismatch(slices, preprocessing) if is_first else "")


@_failures
def join_bands(task: ImageTask, part: Part, bands: Sequence[Part], _: Sequence[Any]) -> PartDone:
    """Clean up a slice and number its objects once all of its bands are written."""
    from napari_emcad.inference.part import Planes, finish_planes

    labels = np.concatenate([read_part(task.folder / f"{band.key}.npy") for band in bands], axis=1)
    probabilities = None
    if task.settings.probabilities:
        files = [task.folder / f"{band.key}.probabilities.npy" for band in bands]
        probabilities = np.concatenate([read_part(file) for file in files], axis=2)
    planes = finish_planes(Planes(labels, probabilities), task.settings)
    slices = open_slices(task, load_model(task.model))
    _write(task, slices, part, planes)
    return PartDone(part.key)


def open_slices(task: ImageTask, model: SegmentationModel, ranges: Ranges | None = None) -> Slices:
    """Return the image of a task, with ranges of intensity that are known.

    Raises
    ------
    ValueError
        If this worker cannot read the file, or reads something else than the submitting process.
    """
    pixels = _open(task)
    if pixels.shape != task.shape or str(pixels.dtype) != task.dtype:
        raise ValueError(
            f"{task.path} has the shape {pixels.shape} and type {pixels.dtype} on the worker "
            f"{worker_name()}, and {task.shape} and {task.dtype} where it was submitted; give both "
            f"the same file."
        )
    known = None if ranges is None else KnownRanges(ranges)
    inputs = model.config.input_channels
    return as_slices(pixels, inputs, task.axes, task.channels, ranges=known)


@lru_cache(maxsize=2)
def load_model(file: ModelFile) -> SegmentationModel:
    """Return the model in a file; it is read once per process.

    Raises
    ------
    ValueError
        If this worker cannot read it, or its content is not that of the submitting process.
    """
    if not file.path.exists():
        raise ValueError(_not_here(str(file.path)))
    found = file_sha256(file.path)
    if found != file.sha256:
        raise ValueError(
            f"The model {file.path} has the SHA-256 {found} on the worker {worker_name()}, and "
            f"{file.sha256} where it was submitted; give both the same file."
        )
    return read_model(file.path)


def worker_name() -> str:
    """Return the address of this worker, or its process number outside of a cluster."""
    from distributed import get_worker

    try:
        return str(get_worker().address)
    except ValueError:
        return f"process {os.getpid()}"


def _open(task: ImageTask) -> CheckedImage:
    """Return the pixels of an image; the file is opened once per process."""
    if not task.path.exists():
        raise ValueError(_not_here(str(task.path)))
    return _opened(task.path, task.options, task.identity)


@lru_cache(maxsize=2)
def _opened(path: Any, options: Any, identity: str) -> CheckedImage:
    return CheckedImage(read_image(path, options).pixels, str(path))


def _not_here(path: str) -> str:
    return (
        f"The worker {worker_name()} does not find {path}; workers need the folders of images and "
        f"outputs under the same paths as the computer that submits."
    )


def _flat(values: Sequence[Any]) -> list[Any]:
    """Return values, and those in lists among them."""
    return [one for value in values for one in (value if isinstance(value, list) else [value])]


def _bound_threads() -> None:
    """Let torch use the threads of this worker's share of the computer, one by default."""
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1").split(",")[0]))


def _write(task: ImageTask, slices: Slices, part: Part, planes: Planes) -> None:
    """Write what was computed of a part."""
    if planes.probabilities is not None:
        write_part(task.folder / f"{part.key}.probabilities.npy", planes.probabilities)
    if task.settings.clean_up.separate and part.rows is None:
        classes = np.asarray(planes.object_classes, np.int64)
        write_part(task.folder / f"{part.key}.classes.npy", classes)
    is_final = part.rows is None or not task.joins
    if task.zarr is None or not is_final:
        write_part(task.folder / f"{part.key}.npy", planes.labels)
        return
    rows = part.rows or (0, slices.height)
    for number, labels in enumerate(planes.labels, part.first):
        where = slices.where(slices.indices[number], rows, (0, slices.width))
        write_zarr_block(task.zarr, where, labels.T if slices.transposed else labels)
