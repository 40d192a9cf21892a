"""The logits of slices, kept to compute labels again with another threshold or clean-up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from napari_emcad.inference.events import Region
from napari_emcad.inference.postprocess import label_slice

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_emcad.imaging.slices import Index, Slices, Where
    from napari_emcad.inference.events import InferenceSettings

_LIMIT = 2**28
"""Bytes of logits that are kept; the slices that were computed first are dropped."""


class LogitCache:
    """The logits of the slices of one job.

    Parameters
    ----------
    slices
        The image that the job segments.
    limit
        Most bytes to keep.
    """

    def __init__(self, slices: Slices, limit: int = _LIMIT) -> None:
        self._slices, self._limit = slices, limit
        self._logits: dict[Index, NDArray[np.float32]] = {}

    def add(self, region: Region) -> None:
        """Keep the logits of a region; those without logits are passed over."""
        if region.logits is None:
            return
        index = tuple(at for at in region.where if not isinstance(at, slice))
        box = self.box(index)
        if index not in self._logits:
            shape = [at.stop - at.start for at in box if isinstance(at, slice)]
            if not self._make_room(4 * len(region.logits) * int(np.prod(shape))):
                return
            self._logits[index] = np.zeros((len(region.logits), *shape), np.float32)
        part = tuple(
            slice(at.start - first.start, at.stop - first.start)
            for at, first in zip(region.where, box, strict=True)
            if isinstance(at, slice) and isinstance(first, slice)
        )
        self._logits[index][(slice(None), *part)] = region.logits

    def __contains__(self, index: Index) -> bool:
        """Return whether the logits of a slice are kept."""
        return index in self._logits

    @property
    def largest_probability(self) -> float | None:
        """Largest probability of the only class; None for several classes, or without slices."""
        kept = list(self._logits.values())
        if not kept or len(kept[0]) > 1:
            return None
        return float(expit(max(float(logits.max()) for logits in kept)))

    @property
    def count(self) -> int:
        """Number of slices of the job, kept or not."""
        return len(self._slices.indices)

    @property
    def complete(self) -> bool:
        """Whether the logits of all slices are kept."""
        return len(self._logits) == self.count

    @property
    def indices(self) -> tuple[Index, ...]:
        """Positions of the slices that are kept, in the order of the image."""
        return tuple(sorted(self._logits))

    def relabel(
        self, index: Index, settings: InferenceSettings, first: int = 0
    ) -> tuple[Region, tuple[int, ...]]:
        """Return the region of a slice with new labels, and the classes of its objects.

        Parameters
        ----------
        index
            Position of the slice.
        settings, first
            As for `napari_emcad.inference.postprocess.label_slice`.

        Raises
        ------
        KeyError
            If the logits of the slice are not kept.
        """
        logits, transposed = self._logits[index], self._slices.transposed
        logits = logits.swapaxes(1, 2) if transposed else logits
        labels, classes = label_slice(logits, settings, first)
        return Region(self.box(index), labels.T if transposed else labels, None), classes

    def box(self, index: Index) -> Where:
        """Return the place of a slice, or of the part in the scope, in the segmentation."""
        height, width = self._slices.height, self._slices.width
        return self._slices.where(index, (0, height), (0, width))

    def _make_room(self, size: int) -> bool:
        """Drop slices until a new one fits; return whether it does."""
        if size > self._limit:
            return False
        while sum(one.nbytes for one in self._logits.values()) + size > self._limit:
            del self._logits[next(iter(self._logits))]
        return True
