"""Segment a part of an image with the numbers that a segmentation of the whole image computes.

Tiles that touch the part are computed in the batches in which the whole image has them, and are
blended in the same order, so that seams are exact to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.inference.batch_size import first_batch_size, out_of_memory_message
from napari_emcad.inference.devices import (
    choose_device,
    free_memory,
    none_if_out_of_memory,
)
from napari_emcad.inference.network_pool import NETWORK_POOL
from napari_emcad.inference.patches import PatchPlan, Preprocessor, Tiled, make_plan
from napari_emcad.inference.postprocess import (
    clean_plane,
    labels_from_logits,
    stretch_plane,
    stretches,
)
from napari_emcad.inference.probabilities import channel_probabilities
from napari_emcad.inference.segment import OutOfMemory, make_predictor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.imaging.parts import Part
    from napari_emcad.imaging.slices import Slices
    from napari_emcad.inference.events import InferenceSettings
    from napari_emcad.inference.patches import Patch
    from napari_emcad.inference.segment import Predict
    from napari_emcad.model.segmenter import Head, Segmenter


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
    """The segmentation of a part.

    Attributes
    ----------
    labels
        ``(n, h, W)``: class labels or object numbers; logits as float32 where probabilities will be
        stretched, which needs complete slices.
    probabilities
        ``(K, n, h, W)`` float32, or None if they were not requested.
    object_classes
        Classes of objects 1, 2, … of the part; empty if labels are classes.
    """

    labels: NDArray[Any]
    probabilities: NDArray[np.float32] | None
    object_classes: tuple[int, ...] = ()


def segment_part(
    network: Segmenter,
    slices: Slices,
    part: Part,
    preprocessing: Preprocessing,
    head: Head,
    settings: InferenceSettings,
) -> Planes:
    """Return the blended labels of a part, before any clean-up.

    Parameters
    ----------
    network
        In eval mode, on the device of the settings.
    slices
        The whole image.
    part
        The part to compute; rows only where slices are not resized.
    preprocessing, head, settings
        As for `napari_emcad.inference.segment.segment_slices`. When memory runs out, batches become
        smaller but tiles do not: other tiles than those of the other parts would leave a seam.

    Raises
    ------
    ValueError
        If the device cannot be used.
    NotFinite
        If the network's output is NaN or infinite.
    OutOfMemory
        If memory is short for a single patch.
    """
    device = choose_device(settings.device)
    size = first_batch_size(device, slices, preprocessing, settings)
    plan = make_plan(slices, preprocessing, size.tile, settings.overlap)
    predict = make_predictor(network, head, preprocessing.zoom, device, settings)
    while True:
        preprocessor = Preprocessor(slices, preprocessing)
        job = _PartJob(plan, preprocessor, part, settings, size.batch)
        planes = none_if_out_of_memory(job.run, predict)
        if planes is not None:
            return planes
        NETWORK_POOL.clear()
        free_memory()
        if size.batch == 1:
            raise OutOfMemory(out_of_memory_message(device, size.tile, preprocessing))
        size = replace(size, batch=size.batch // 2)


def finish_planes(planes: Planes, settings: InferenceSettings) -> Planes:
    """Return complete slices stretched, cleaned up and with numbered objects, as settings say."""
    if planes.labels.dtype.kind != "f" and not settings.clean_up.active:
        return planes
    probabilities, classes = planes.probabilities, list[int]()
    finished = []
    for number, plane in enumerate(planes.labels):
        labels = plane
        if plane.dtype.kind == "f":
            labels, stretched = stretch_plane(plane[None], settings.threshold)
            if probabilities is not None:
                probabilities[:, number] = stretched
        labels, found = clean_plane(labels, settings.clean_up, len(classes))
        classes += found
        finished.append(labels)
    return Planes(np.stack(finished), probabilities, tuple(classes))


class _PartJob:
    """Computes a part batch by batch.

    Parameters
    ----------
    plan, preprocessor
        Tiles of the whole image.
    part
        What is computed.
    settings
        Threshold, and what is returned.
    batch
        Number of patches per batch.
    """

    def __init__(
        self,
        plan: PatchPlan,
        preprocessor: Preprocessor,
        part: Part,
        settings: InferenceSettings,
        batch: int,
    ) -> None:
        self._plan, self._preprocessor = plan, preprocessor
        self._part, self._settings, self._batch = part, settings, batch
        slices = preprocessor.slices
        self._rows = part.rows or (0, slices.height)
        self._shape = (part.stop - part.first, self._rows[1] - self._rows[0], slices.width)
        self._labels: NDArray[Any] | None = None
        self._probabilities: NDArray[np.float32] | None = None

    def run(self, predict: Predict) -> Planes:
        """Return the blended labels, or logits, of the part."""
        first, stop = self._positions()
        total = len(self._preprocessor.slices.indices) * self._plan.patches_per_slice
        position = first - first % self._batch
        patches = self._patches(position, min(-(-stop // self._batch) * self._batch, total))
        stitcher = None
        while batch := list(islice(patches, self._batch)):
            for patch, logits in zip(batch, predict(batch), strict=True):
                if first <= position < stop:
                    if stitcher is None or position % self._plan.patches_per_slice == 0:
                        stitcher = self._plan.stitcher(len(logits))
                    self._put(patch, stitcher.add(patch.top, patch.left, logits))
                position += 1
        assert self._labels is not None  # there is no part without a patch
        return Planes(self._labels, self._probabilities)

    def _positions(self) -> tuple[int, int]:
        """Return the range of the patches that touch the part, in the order of the whole image."""
        count, part = self._plan.patches_per_slice, self._part
        if part.rows is None or not isinstance(self._plan, Tiled):
            return part.first * count, part.stop * count
        tiling = self._plan.tiling
        touching = [
            row
            for row, top in enumerate(tiling.tops)
            if top < part.rows[1] and top + tiling.tile[0] > part.rows[0]
        ]
        per_row, start = len(tiling.lefts), part.first * count
        return start + touching[0] * per_row, start + (touching[-1] + 1) * per_row

    def _patches(self, start: int, stop: int) -> Iterator[Patch]:
        """Yield the patches of a range; rows of tiles outside of it are not read."""
        count = self._plan.patches_per_slice
        for number in range(start // count, -(-stop // count)):
            first, last = max(start - number * count, 0), min(stop - number * count, count)
            plan, skipped = self._plan, 0
            if isinstance(plan, Tiled):
                per_row = len(plan.tiling.lefts)
                rows = slice(first // per_row, -(-last // per_row))
                skipped = rows.start * per_row
                plan = Tiled(replace(plan.tiling, tops=plan.tiling.tops[rows]))
            patches = plan.patches(self._preprocessor, number)
            yield from islice(patches, first - skipped, last - skipped)

    def _put(self, patch: Patch, logits: NDArray[np.float32]) -> None:
        """Write the blended logits of a patch, as far as they belong to the part."""
        top, height = patch.top - self._rows[0], logits.shape[1]
        inside = slice(max(-top, 0), min(self._shape[1] - top, height))
        logits = logits[:, inside]
        rows = slice(top + inside.start, top + inside.stop)
        number = patch.number - self._part.first
        columns = slice(patch.left, patch.left + logits.shape[2])
        if self._settings.probabilities:
            if self._probabilities is None:
                self._probabilities = np.zeros((len(logits), *self._shape), np.float32)
            self._probabilities[:, number, rows, columns] = channel_probabilities(logits)
        if stretches(self._settings, len(logits)):
            values: NDArray[Any] = logits[0]
        else:
            values = labels_from_logits(logits, self._settings.threshold)
        if self._labels is None:
            self._labels = np.zeros(self._shape, values.dtype)
        self._labels[number, rows, columns] = values
