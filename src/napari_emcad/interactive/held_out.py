"""Predictions of a network on held-out pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import map_coordinates

from napari_emcad.imaging.slices import as_slices
from napari_emcad.inference.events import InferenceSettings, Notice, Progress
from napari_emcad.inference.jobs import relay_job
from napari_emcad.inference.probabilities import class_probabilities
from napari_emcad.inference.stage_maps.keys import MapKey, StageMap
from napari_emcad.inference.uncertainty import entropy
from napari_emcad.interactive.annotation_conflicts import patch_keys
from napari_emcad.pipelines.stage_maps_job import stage_maps_job

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Hashable, Iterator, Sequence

    from numpy.typing import NDArray

    from napari_emcad.annotation.patch import AnnotatedPatch
    from napari_emcad.annotation.record import Record
    from napari_emcad.inference.patches import Preprocessor
    from napari_emcad.interactive.annotated_patches import AnnotatedImage, PatchKey
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.model.network import PvtEmcad

    Range = tuple[int, int]
    Sampled = tuple[NDArray[np.float32], NDArray[np.int16]]
    PatchJob = Generator[Progress | Notice, None, Sampled | None]


MOST_PIXELS = 2**18
"""Largest number of held-out pixels that are used; of more, every n-th."""

_MARGIN = 256
"""Pixels of context around the held-out pixels of a patch of a large slice."""


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutPredictions:
    """Predictions of a network on held-out pixels.

    Attributes
    ----------
    logits
        ``(K, n)``; K is 1 for binary networks.
    classes
        ``(n,)``: annotated classes.
    """

    logits: NDArray[np.float32]
    classes: NDArray[np.int16]

    @property
    def correct(self) -> int:
        """Number of pixels whose class is predicted correctly."""
        return int((class_probabilities(self.logits).argmax(0) == self.classes).sum())

    @property
    def mean_entropy(self) -> float:
        """Mean entropy of the predictions, 0 … 1."""
        return float(entropy(class_probabilities(self.logits)).mean())


def held_out_predictions(
    checkpoint: Checkpoint,
    images: Sequence[AnnotatedImage],
    record: Record,
    settings: InferenceSettings,
    stop: threading.Event,
    most_pixels: int = MOST_PIXELS,
) -> Generator[Progress | Notice, None, HeldOutPredictions | None]:
    """Predict the held-out pixels of a record; torch is imported when the job first runs.

    The predictions are those of a segmentation of the whole slice: intensities are normalized over
    the whole slice (or stack), and the slice is enlarged or resized as the checkpoint requires. Of
    a slice that is too large for one pass, the surroundings of the pixels are predicted.

    Parameters
    ----------
    checkpoint
        Checkpoint of the network.
    images
        Annotated images.
    record
        Record of these images without conflicts; see `merged_record`. Its classes are those of the
        checkpoint.
    settings
        Device, tile, overlap and precision are used.
    stop
        Ends the job after the current tile.
    most_pixels
        Largest number of pixels to return; of more, every n-th.

    Returns
    -------
    HeldOutPredictions
        None if the job was stopped.

    Raises
    ------
    ValueError
        If no pixel is held out, or the device cannot be used.
    """
    # Imported here because it loads torch, which the window does only in a thread.
    from napari_emcad.inference.network_pool import NETWORK_POOL
    from napari_emcad.inference.patches import Preprocessor

    keys = [key for key in patch_keys(images, record) if record.patches[key].held_out_counts]
    if not keys:
        raise ValueError("No pixel is held out.")
    total = sum(int(record.patches[key].held_out.sum()) for key in keys)
    every = -(-total // most_pixels)
    slices_by_key = {image.key: image.slices for image in images}
    preprocessors: dict[Hashable, Preprocessor] = {}
    results: list[Sampled] = []
    with NETWORK_POOL.borrow(checkpoint, "plain", checkpoint.network) as network:
        for number, key in enumerate(keys):
            yield Progress(number, len(keys))
            if key.source not in preprocessors:
                slices = slices_by_key[key.source]
                preprocessors[key.source] = Preprocessor(slices, checkpoint.preprocessing)
            preprocessor, patch = preprocessors[key.source], record.patches[key]
            job = _predict_patch(checkpoint, network, preprocessor, key, patch, settings, stop)
            result = yield from relay_job(job, _all_events if len(keys) == 1 else _without_progress)
            if result is None:
                return None
            results.append(result)
    yield Progress(len(keys), len(keys))
    logits, classes = (np.concatenate(parts, axis=-1) for parts in zip(*results, strict=True))
    return HeldOutPredictions(logits[:, ::every], classes[::every])


def _all_events(event: Progress | Notice) -> Iterator[Progress | Notice]:
    yield event


def _without_progress(event: Progress | Notice) -> Iterator[Progress | Notice]:
    if not isinstance(event, Progress):
        yield event


def _predict_patch(
    checkpoint: Checkpoint,
    network: PvtEmcad,
    preprocessor: Preprocessor,
    key: PatchKey,
    patch: AnnotatedPatch,
    settings: InferenceSettings,
    stop: threading.Event,
) -> PatchJob:
    """Return logits ``(K, n)`` and classes ``(n,)`` of the held-out pixels of a patch."""
    rows, columns = np.nonzero(patch.held_out)
    classes = patch.target[rows, columns]
    rows, columns = rows + key.rows[0], columns + key.columns[0]
    shape = preprocessor.slices.height, preprocessor.slices.width
    row_range, column_range = (0, shape[0]), (0, shape[1])
    is_part = (key.rows, key.columns) != (row_range, column_range)
    if checkpoint.preprocessing.size is None and is_part:
        row_range, column_range = (
            _range_around(pixels, size) for pixels, size in zip((rows, columns), shape, strict=True)
        )
    planes = preprocessor.planes(key.index, row_range, column_range)
    channels = checkpoint.config.input_channels
    slices = as_slices(planes, channels, "CYX", range(channels) if len(planes) > 1 else (0,))
    normalized = replace(
        checkpoint, preprocessing=replace(checkpoint.preprocessing, intensity="none")
    )
    wanted = MapKey("sum" if checkpoint.head == "sum" else "logits", 1)
    job = stage_maps_job(slices, normalized, (wanted,), settings, stop, network=network)
    logits: StageMap | None = None
    for event in job:  # run to its end, because a generator that is closed keeps its network
        if isinstance(event, (Progress, Notice)):
            yield event
        else:
            logits = event.maps[0]
    if logits is None:
        return None
    return _sample(logits, rows - row_range[0], columns - column_range[0]), classes


def _range_around(pixels: NDArray[np.integer], size: int) -> Range:
    """Return the range of a side of length `size` that contains pixels and a margin."""
    return max(int(pixels.min()) - _MARGIN, 0), min(int(pixels.max()) + 1 + _MARGIN, size)


def _sample(
    stage_map: StageMap, rows: NDArray[np.integer], columns: NDArray[np.integer]
) -> NDArray[np.float32]:
    """Return a map at image pixels, ``(K, n)``, by bilinear interpolation."""
    if stage_map.factor is None or stage_map.offset is None:
        raise ValueError(f"{stage_map.key} has no position on the image.")
    positions = np.stack(
        [
            (pixels - offset) / factor
            for pixels, offset, factor in zip(
                (rows, columns), stage_map.offset, stage_map.factor, strict=True
            )
        ]
    )
    planes = stage_map.values.reshape(-1, *stage_map.values.shape[-2:])
    sampled = [map_coordinates(plane, positions, order=1, mode="nearest") for plane in planes]
    return np.stack(sampled).astype(np.float32)
